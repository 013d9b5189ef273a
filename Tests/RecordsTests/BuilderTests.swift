import TallyRecords
import TallyTestSupport
import Testing

@Suite("batch builder")
struct BuilderTests {
    @Test("the golden uncompressed batches come out byte for byte")
    func goldenPlain() throws {
        var decoder = RecordDecoder()
        var compared = 0
        for topic in ["golden-plain", "golden-transactions"] {
            for golden in try Golden.batches(of: topic) {
                let batch = try RecordBatch(golden.bytes.span.bytes)
                let header = batch.header
                guard header.codec == .none, !header.attributes.isControl else { continue }
                var builder = try RecordBatchBuilder()
                try decoder.forEachRecord(in: batch) { try builder.append(PlainRecord($0)) }
                let ours = try builder.finish(
                    baseOffset: header.baseOffset, leaderEpoch: header.partitionLeaderEpoch,
                    producer: BatchProducer(
                        id: header.producerID, epoch: header.producerEpoch,
                        baseSequence: header.baseSequence),
                    isTransactional: header.attributes.isTransactional
                ).array
                #expect(ours == golden.bytes)
                compared += 1
            }
        }
        #expect(compared > 20)
    }

    @Test("LZ4 frames begin and end as Kafka's do, and hold the same records")
    func goldenLZ4() throws {
        let frameStart = 61..<68
        for golden in try Golden.batches(of: "golden-lz4") {
            let records = try decodeRecords(golden.bytes)
            let ours = try encode(records, codec: .lz4, baseOffset: records[0].offset)
            #expect(ours[frameStart] == golden.bytes[frameStart])
            #expect(ours.suffix(4) == [0, 0, 0, 0])
            #expect(try decodeRecords(ours) == records)
            let expected = try RecordBatch(golden.bytes.span.bytes).header
            let header = try RecordBatch(ours.span.bytes).header
            #expect(header.attributes == expected.attributes)
            #expect(header.lastOffsetDelta == expected.lastOffsetDelta)
            #expect(header.baseTimestamp == expected.baseTimestamp)
            #expect(header.maxTimestamp == expected.maxTimestamp)
        }
    }

    @Test("LZ4 blocks hold 64 KiB, and those that do not shrink are stored as they are")
    func blocks() throws {
        var random = TestRandom(for: "LZ4 blocks")
        let record = PlainRecord(
            offset: 0, timestamp: 0, key: nil, value: random.bytes(150_000))
        let bytes = try encode([record], codec: .lz4)
        let content = try encode([record]).dropFirst(61)
        var position = 61 + 7
        var start = content.startIndex
        for size in [65_536, 65_536, content.count - 131_072] {
            let word = bytes[position..<position + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
            #expect(word == UInt32(size) | 0x8000_0000)
            #expect(bytes[position + 4..<position + 4 + size] == content[start..<start + size])
            position += 4 + size
            start += size
        }
        #expect(bytes[position...] == [0, 0, 0, 0])
    }

    @Test("a finished batch can be finished again, and grow first")
    func finishAgain() throws {
        for codec in Codec.ofThisBuild {
            let first = PlainRecord(offset: 0, timestamp: 5, key: [1], value: [2])
            let second = PlainRecord(offset: 1, timestamp: 9, key: [3], value: nil)
            var builder = try RecordBatchBuilder(codec: codec)
            try builder.append(first)
            let once = try builder.finish().array
            #expect(try builder.finish().array == once)
            try builder.append(second)
            let both = try builder.finish().array
            #expect(both == (try encode([first, second], codec: codec)))
            builder.reset()
            let count = builder.recordCount
            #expect(count == 0)
            try builder.append(first)
            #expect(try builder.finish().array == once)
        }
    }

    @Test("a record that does not fit leaves the batch as it was")
    func limit() throws {
        let record = PlainRecord(offset: 0, timestamp: 0, key: nil, value: [7, 7, 7])
        let one = try encode([record])
        var builder = try RecordBatchBuilder(capacity: 1 << 20, byteCountMax: one.count)
        try builder.append(record)
        let error = #expect(throws: RecordError.self) { try builder.append(record) }
        #expect(error?.kind == .batchTooLarge(bytes: one.count + 10, limit: one.count))
        let count = builder.recordCount
        #expect(count == 1)
        #expect(try builder.finish().array == one)
    }

    @Test("what cannot be encoded is refused")
    func refusals() throws {
        for codec in Codec.missing {
            #expect(throws: RecordError(.codecNotSupported(codec), position: 0)) {
                _ = try RecordBatchBuilder(codec: codec)
            }
        }
        var builder = try RecordBatchBuilder()
        #expect(throws: RecordError(.badCount(0), position: 0)) { _ = try builder.finish() }
        #expect(throws: RecordError(.badTimestamp(-2), position: 0)) {
            try builder.append(key: nil, value: nil, timestamp: Timestamp(rawValue: -2))
        }
        let count = builder.recordCount
        #expect(count == 0)
    }

    @Test("a reused builder and decoder keep their memory", arguments: Codec.ofThisBuild)
    func reuse(codec: Codec) throws {
        let records = (0..<200).map {
            PlainRecord(
                offset: Int64($0), timestamp: 3, key: [UInt8($0)], value: Array("value".utf8))
        }
        var builder = try RecordBatchBuilder(codec: codec)
        var decoder = RecordDecoder()
        var addresses: Set<UInt> = []
        for _ in 0..<20 {
            builder.reset()
            for record in records { try builder.append(record) }
            let bytes = try builder.finish()
            addresses.insert(bytes.address)
            var cursor = try decoder.records(of: RecordBatch(bytes))
            while let record = try cursor.next() {
                guard record.offset == .zero, codec != .none, let value = record.value else {
                    continue
                }
                addresses.insert(value.address)
            }
        }
        #expect(addresses.count == (codec == .none ? 1 : 2))
    }
}

extension RawSpan {
    fileprivate var address: UInt { withUnsafeBytes { UInt(bitPattern: $0.baseAddress) } }
}
