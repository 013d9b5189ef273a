import TallyRecords
import TallyTestSupport
import Testing

@Suite("round trips")
struct RoundTripTests {
    /// A record with every kind of absence in it.
    static func randomRecord(_ random: inout TestRandom, valueBytesMax: Int) -> PlainRecord {
        func bytes(_ upTo: Int) -> [UInt8]? {
            if random.chance(5) { return nil }
            if random.chance(5) { return [] }
            let count = Int.random(in: 0...upTo, using: &random)
            // Compressible half of the time.
            return random.chance(2)
                ? random.bytes(count) : [UInt8](repeating: UInt8(count & 0xff), count: count)
        }
        var record = PlainRecord(
            offset: 0, timestamp: Int64.random(in: -1...2_000_000_000_000, using: &random),
            key: bytes(80), value: bytes(valueBytesMax))
        let headerCount = random.chance(3) ? Int.random(in: 0...5, using: &random) : 0
        for _ in 0..<headerCount {
            let names = ["", "trace-id", "dup", "dup", "größe", String(repeating: "n", count: 70)]
            record.headers.append(
                PlainHeader(key: Array(names.randomElement(using: &random)!.utf8), value: bytes(90))
            )
        }
        return record
    }

    @Test("what was appended is what is read", arguments: Codec.ofThisBuild)
    func roundTrip(codec: Codec) throws {
        var random = TestRandom(for: "round trip \(codec)")
        var builder = try RecordBatchBuilder(codec: codec, capacity: 0)
        var decoder = RecordDecoder()
        for round in 0..<150 {
            let baseOffset = Int64.random(in: 0...(1 << 40), using: &random)
            let count = Int.random(in: 1...120, using: &random)
            var records: [PlainRecord] = []
            for index in 0..<count {
                var record = Self.randomRecord(
                    &random, valueBytesMax: round % 20 == 0 ? 30_000 : 300)
                record.offset = baseOffset + Int64(index)
                records.append(record)
                try builder.append(record)
            }
            let estimate = builder.estimatedByteCount
            let bytes = try builder.finish(baseOffset: Offset(baseOffset)).array
            builder.reset()
            if codec == .none { #expect(bytes.count == estimate) }
            #expect(try decodeRecords(bytes, by: &decoder) == records)
            try check(bytes, holds: records, at: baseOffset, by: &decoder)
        }
    }

    private func check(
        _ bytes: [UInt8], holds records: [PlainRecord], at baseOffset: Int64,
        by decoder: inout RecordDecoder
    ) throws {
        let batch = try RecordBatch(bytes.span.bytes)
        try batch.verifyChecksum()
        try batch.validate(bytesMax: bytes.count)
        try decoder.validateRecords(of: batch)
        #expect(batch.header.baseOffset == Offset(baseOffset))
        #expect(batch.header.recordCount == Int32(records.count))
        #expect(batch.header.lastOffsetDelta == Int32(records.count - 1))
        #expect(batch.header.baseTimestamp.rawValue == records[0].timestamp)
        #expect(batch.header.maxTimestamp.rawValue == records.map(\.timestamp).max())
        var visited = 0
        try decoder.forEachRecord(in: batch) { record in
            let plain = try PlainRecord(record)
            #expect(plain == records[visited])
            visited += 1
        }
        #expect(visited == records.count)
    }

    @Test("copied records are the same records", arguments: Codec.ofThisBuild)
    func copying(codec: Codec) throws {
        var random = TestRandom(for: "copying \(codec)")
        var records = (0..<60).map { _ in Self.randomRecord(&random, valueBytesMax: 200) }
        for index in records.indices { records[index].offset = Int64(index) }
        let bytes = try encode(records, codec: codec)
        var copy = try RecordBatchBuilder()
        var decoder = RecordDecoder()
        try decoder.forEachRecord(in: try RecordBatch(bytes.span.bytes)) { record in
            try copy.append(copying: record)
        }
        #expect(try copy.finish().array == encode(records))
    }

    @Test(
        "records around the sizes where their length grows by a byte",
        arguments: [40...80, 8_160...8_210, 1_048_558...1_048_576])
    func lengths(sizes: ClosedRange<Int>) throws {
        let wide = PlainHeader(key: [], value: [])
        for size in sizes {
            let value = [UInt8](repeating: 7, count: size)
            // The second record's timestamp and offset take more bytes than the least.
            let records = [
                PlainRecord(offset: 0, timestamp: 0, key: nil, value: value),
                PlainRecord(offset: 1, timestamp: 1 << 40, key: value, value: nil),
                PlainRecord(offset: 2, timestamp: 1 << 40, key: [], value: value, headers: [wide]),
            ]
            #expect(try decodeRecords(encode(records)) == records, "\(size) bytes")
        }
    }

    @Test("integers of every size survive", arguments: [0, 6, 7, 13, 14, 20, 27, 28, 34, 41, 62])
    func varints(bits: Int) throws {
        let power = Int64(1) << Int64(bits)
        for timestamp in [power, power - 1, power + 1] {
            let records = [
                PlainRecord(offset: 0, timestamp: 0, key: nil, value: nil),
                PlainRecord(offset: 1, timestamp: timestamp, key: nil, value: nil),
                PlainRecord(offset: 2, timestamp: -1, key: nil, value: nil),
            ]
            #expect(try decodeRecords(encode(records)) == records)
        }
        let extremes = [
            PlainRecord(offset: 0, timestamp: .max, key: nil, value: nil),
            PlainRecord(offset: 1, timestamp: -1, key: nil, value: nil),
        ]
        #expect(try decodeRecords(encode(extremes)) == extremes)
    }
}
