import TallyRecords
import Testing

/// What the log does to batches and demands of them.
@Suite("batches on their way into the log")
struct AppendTests {
    private func batch(_ count: Int = 3, producer: BatchProducer = .none) throws -> [UInt8] {
        try encode(
            (0..<count).map {
                PlainRecord(offset: Int64($0), timestamp: 100 + Int64($0), key: nil, value: [1])
            }, producer: producer)
    }

    @Test("offset and epoch are assigned without touching the checksum")
    func assign() throws {
        var bytes = try batch()
        let before = try RecordBatch(bytes.span.bytes).header
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        RecordBatch.assign(baseOffset: Offset(77), leaderEpoch: LeaderEpoch(5), in: &raw)
        let batch = try RecordBatch(bytes.span.bytes)
        try batch.verifyChecksum()
        var expected = before
        expected.baseOffset = Offset(77)
        expected.partitionLeaderEpoch = LeaderEpoch(5)
        #expect(batch.header == expected)
        #expect(try decodeRecords(bytes).map(\.offset) == [77, 78, 79])
    }

    @Test("a batch stamped with the append time gives it to all its records")
    func logAppendTime() throws {
        var bytes = try batch()
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        RecordBatch.stampLogAppendTime(Timestamp(milliseconds: 9_000), in: &raw)
        let batch = try RecordBatch(bytes.span.bytes)
        try batch.verifyChecksum()
        #expect(batch.header.attributes.timestampType == .logAppendTime)
        #expect(batch.header.maxTimestamp.rawValue == 9_000)
        #expect(try decodeRecords(bytes).map(\.timestamp) == [9_000, 9_000, 9_000])
    }

    @Test("the last sequence wraps behind the largest")
    func sequences() throws {
        let cases: [(base: Int32, last: Int32)] = [
            (-1, -1), (0, 2), (.max - 2, .max), (.max - 1, 0), (.max, 1),
        ]
        for (base, last) in cases {
            let producer = BatchProducer(id: 1, epoch: 0, baseSequence: base)
            let bytes = try batch(producer: producer)
            #expect(try RecordBatch(bytes.span.bytes).header.lastSequence == last)
        }
    }

    @Test("what a producer may not write is refused")
    func validate() throws {
        typealias Change = (inout [UInt8]) -> Void
        let size = try batch().count
        let idempotent = BatchProducer(id: 4, epoch: 0, baseSequence: 0)
        let cases: [(kind: RecordError.Kind, position: Int, change: Change)] = [
            (.controlBatchNotAllowed, 21, { overwrite(&$0, at: 21, Int16(0x20)) }),
            (.badAttributes(0x40), 21, { overwrite(&$0, at: 21, Int16(0x40)) }),
            (.badAttributes(0x80), 21, { overwrite(&$0, at: 21, Int16(0x80)) }),
            (.badCount(0), 57, { overwrite(&$0, at: 57, Int32(0)) }),
            (
                .badOffsetRange(lastOffsetDelta: 9, recordCount: 3), 23,
                { overwrite(&$0, at: 23, Int32(9)) }
            ),
            (
                .badProducer(id: -2, epoch: 0, sequence: 0), 43,
                { overwrite(&$0, at: 43, Int64(-2)) }
            ),
            (
                .badProducer(id: 4, epoch: -1, sequence: 0), 43,
                { overwrite(&$0, at: 51, Int16(-1)) }
            ),
            (
                .badProducer(id: 4, epoch: 0, sequence: -1), 43,
                { overwrite(&$0, at: 53, Int32(-1)) }
            ),
            (
                .badProducer(id: -1, epoch: 0, sequence: 0), 43,
                {
                    overwrite(&$0, at: 43, Int64(-1))
                    overwrite(&$0, at: 21, Int16(0x10))
                }
            ),
        ]
        for (kind, position, change) in cases {
            var bytes = try batch(producer: idempotent)
            try RecordBatch(bytes.span.bytes).validate(bytesMax: size)
            change(&bytes)
            reseal(&bytes)
            let error = #expect(throws: RecordError.self) {
                try RecordBatch(bytes.span.bytes).validate(bytesMax: size)
            }
            #expect(error == RecordError(kind, position: position))
        }
    }

    @Test("a batch over the limit, or with a wrong checksum, is refused")
    func sizeAndChecksum() throws {
        var bytes = try batch()
        #expect(
            throws: RecordError(
                .batchTooLarge(bytes: bytes.count, limit: bytes.count - 1), position: 8)
        ) {
            try RecordBatch(bytes.span.bytes).validate(bytesMax: bytes.count - 1)
        }
        bytes[bytes.count - 1] ^= 1
        let error = #expect(throws: RecordError.self) {
            try RecordBatch(bytes.span.bytes).validate(bytesMax: bytes.count)
        }
        #expect(error?.position == 17)
        #expect(error?.isCorruption == true)
    }
}
