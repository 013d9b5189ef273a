import TallyRecords
import TallyTestSupport
import Testing

/// What a filter leaves of a batch.
private func filtered(
    _ bytes: [UInt8], by filter: inout BatchFilter, horizon: Int64? = nil,
    where isKept: (Int64) -> Bool
) throws(RecordError) -> [UInt8] {
    let batch = try RecordBatch(bytes.span.bytes)
    let selection = try filter.select(from: batch) { isKept($0.offset.rawValue) }
    return try filter.finish(
        selection, of: batch, deleteHorizon: horizon.map { Timestamp(rawValue: $0) }
    ).array
}

/// The records of a batch as they lie one behind the other, unpacked.
private func payload(_ bytes: [UInt8]) throws -> [UInt8] {
    var decoder = RecordDecoder()
    let batch = try RecordBatch(bytes.span.bytes)
    let cursor = try decoder.records(of: batch)
    return Array(cursor.bytes.array[cursor.position...])
}

/// Unpacked records cut one from the other by their lengths, with a reader of the test's own.
private func slices(_ payload: [UInt8]) -> [[UInt8]] {
    var slices: [[UInt8]] = []
    var start = 0
    while start < payload.count {
        var (length, shift, at) = (0, 0, start)
        while true {
            let byte = payload[at]
            length |= Int(byte & 0x7f) << shift
            at += 1
            shift += 7
            if byte < 0x80 { break }
        }
        let end = at + (length >> 1)
        slices.append(Array(payload[start..<end]))
        start = end
    }
    return slices
}

@Suite("Filtering batches")
struct BatchFilterTests {
    private func records(_ count: Int) -> [PlainRecord] {
        (0..<count).map { number -> PlainRecord in
            let headers = [
                PlainHeader(key: Array("h".utf8), value: nil),
                PlainHeader(key: [], value: [UInt8(number)]),
            ]
            var record = PlainRecord(
                offset: 100 + Int64(number), timestamp: 5000 + Int64(number * 7 % 5), key: nil,
                value: nil, headers: headers)
            if number != 2 { record.key = Array("key \(number)".utf8) }
            if number % 3 != 1 { record.value = Array("value \(number)".utf8) }
            return record
        }
    }

    @Test("kept records are copied byte for byte, and the header says what is left")
    func bytes() throws {
        var filter = BatchFilter()
        for codec in Codec.ofThisBuild {
            let all = records(6)
            let producer = BatchProducer(id: 9, epoch: 2, baseSequence: 40)
            let original = try encode(all, codec: codec, baseOffset: 100, producer: producer)
            for mask in 1..<64 {
                let isKept = { (offset: Int64) in mask >> (offset - 100) & 1 == 1 }
                let bytes = try filtered(original, by: &filter, where: isKept)
                let kept = all.filter { isKept($0.offset) }
                let expected = zip(all, slices(try payload(original)))
                    .filter { isKept($0.0.offset) }.flatMap { $0.1 }
                #expect(try payload(bytes) == expected)
                #expect(try decodeRecords(bytes) == kept)
                let batch = try RecordBatch(bytes.span.bytes)
                try batch.verifyChecksum()
                var header = try RecordBatchHeader(decoding: original.span.bytes)
                header.recordCount = Int32(kept.count)
                header.maxTimestamp = Timestamp(rawValue: kept.map(\.timestamp).max()!)
                header.sizeInBytes = bytes.count
                header.checksum = batch.header.checksum
                #expect(batch.header == header)
                if codec == .none, mask == 63 { #expect(bytes == original) }
            }
        }
    }

    @Test("tombstones are counted, and what has no key is none")
    func tombstones() throws {
        let all = [
            PlainRecord(offset: 0, timestamp: 0, key: [1], value: nil),
            PlainRecord(offset: 1, timestamp: 0, key: nil, value: nil),
            PlainRecord(offset: 2, timestamp: 0, key: [], value: nil),
            PlainRecord(offset: 3, timestamp: 0, key: [1], value: []),
        ]
        var filter = BatchFilter()
        let bytes = try encode(all)
        let batch = try RecordBatch(bytes.span.bytes)
        let selection = try filter.select(from: batch) { $0.offset.rawValue != 0 }
        #expect(selection.tombstoneCount == 1)
        #expect(selection.keptCount == 3)
        #expect(selection.removedCount == 1)
    }

    @Test("a delete horizon changes the base, and no timestamp", arguments: Codec.ofThisBuild)
    func horizon(codec: Codec) throws {
        var filter = BatchFilter()
        var sizes: Set<Int> = []
        var horizons: [Int64] = [0, 1, -1, .max, .min, 5000, 5004]
        // Deltas of each length, to both sides.
        for bits in stride(from: 6, through: 62, by: 7) {
            let size = Int64(1) << Int64(bits)
            for near in [size - 1, size, size + 1] { horizons += [5000 - near, 5000 &+ near] }
        }
        let all = records(4)
        let original = try encode(all, codec: codec, baseOffset: 100)
        for horizon in horizons {
            for isAll in [true, false] {
                let bytes = try filtered(original, by: &filter, horizon: horizon) {
                    isAll || $0 != 101
                }
                let kept = all.filter { isAll || $0.offset != 101 }
                #expect(try decodeRecords(bytes) == kept, "horizon \(horizon)")
                let batch = try RecordBatch(bytes.span.bytes)
                try batch.verifyChecksum()
                #expect(batch.header.deleteHorizon == Timestamp(rawValue: horizon))
                #expect(batch.header.maxTimestamp.rawValue == kept.map(\.timestamp).max())
                #expect(batch.header.codec == codec)
                let old = slices(try payload(original))[0].count
                sizes.insert(slices(try payload(bytes))[0].count - old)
            }
        }
        // The delta was one byte long.
        #expect(sizes == Set(0...9))
    }

    @Test("a batch of LogAppendTime keeps its records as they are, and its time")
    func logAppendTime() throws {
        var filter = BatchFilter()
        let all = records(4)
        var original = try encode(all, baseOffset: 100)
        original.withUnsafeMutableBytes { buffer in
            var span = MutableRawSpan(_unsafeBytes: buffer)
            RecordBatch.stampLogAppendTime(Timestamp(milliseconds: 777), in: &span)
        }
        let expected = all.filter { $0.offset != 102 }.map { record in
            var record = record
            record.timestamp = 777
            return record
        }
        for horizon in [nil, Int64(123_456)] {
            let bytes = try filtered(original, by: &filter, horizon: horizon) { $0 != 102 }
            #expect(try decodeRecords(bytes) == expected)
            let kept = slices(try payload(original)).enumerated().filter { $0.offset != 2 }
            #expect(try payload(bytes) == kept.flatMap { $0.element })
            let header = try RecordBatch(bytes.span.bytes).header
            #expect(header.maxTimestamp == Timestamp(milliseconds: 777))
            #expect(header.deleteHorizon == horizon.map { Timestamp(milliseconds: $0) })
            #expect(header.attributes.timestampType == .logAppendTime)
        }
    }

    @Test("what was LZ4 is LZ4 again, in the form of frame that Kafka writes")
    func frame() throws {
        var filter = BatchFilter()
        var all = records(5)
        all[3].value = [UInt8](repeating: 7, count: 200_000)
        let original = try encode(all, codec: .lz4, baseOffset: 100)
        let bytes = try filtered(original, by: &filter) { $0 != 100 }
        #expect(Array(bytes[61..<68]) == [4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
        #expect(bytes.count < 20_000)
        #expect(try decodeRecords(bytes) == Array(all.dropFirst()))
        // A second time through gives the same.
        #expect(try filtered(bytes, by: &filter) { _ in true } == bytes)
    }

    @Test("random batches come out as the decoder says", arguments: Codec.ofThisBuild)
    func random(codec: Codec) throws {
        var random = TestRandom(for: "filtering \(codec)")
        var filter = BatchFilter()
        for _ in 0..<300 {
            let base = Int64.random(in: 0...1_000_000, using: &random)
            let isExtreme = random.chance(10)
            let all = (0..<1 + random.below(12)).map { number in
                var record = RoundTripTests.randomRecord(&random, valueBytesMax: 60)
                record.offset = base + Int64(number)
                if isExtreme { record.timestamp = [-1, 0, .max][random.below(3)] }
                return record
            }
            var bytes = try encode(all, codec: codec, baseOffset: base)
            var left = all
            // Cleaned again and again, until nothing more goes.
            for round in 0..<3 {
                let gone = Set(left.filter { _ in random.chance(3) }.map(\.offset))
                let next = left.filter { !gone.contains($0.offset) }
                guard !next.isEmpty else { continue }
                left = next
                let horizon = round > 0 ? Int64(bitPattern: random.next()) : nil
                bytes = try filtered(bytes, by: &filter, horizon: horizon) { !gone.contains($0) }
                let batch = try RecordBatch(bytes.span.bytes)
                try batch.verifyChecksum()
                #expect(try decodeRecords(bytes) == left)
                #expect(batch.header.baseOffset.rawValue == base)
                #expect(batch.header.lastOffset.rawValue == all.last?.offset)
                #expect(batch.header.maxTimestamp.rawValue == left.map(\.timestamp).max())
                #expect(batch.header.recordCount == Int32(left.count))
            }
        }
    }

    @Test("no damage with a right checksum traps", arguments: Codec.ofThisBuild)
    func damage(codec: Codec) throws {
        var random = TestRandom(for: "damaged batches to be filtered, \(codec)")
        var filter = BatchFilter()
        let originals = try (0..<20).map { _ in
            try encode(
                (0..<1 + random.below(5)).map { _ in
                    RoundTripTests.randomRecord(&random, valueBytesMax: 40)
                }, codec: codec)
        }
        var (passed, failed) = (0, 0)
        for _ in 0..<20_000 {
            var bytes = originals[random.below(originals.count)]
            for _ in 0...random.below(3) {
                let from = random.chance(4) ? 21 : 61
                let place = from + random.below(bytes.count - from)
                bytes[place] = random.chance(2) ? UInt8(random.below(256)) : 0xff
            }
            reseal(&bytes)
            let mask = random.next()
            let horizon = random.chance(2) ? Int64(bitPattern: random.next()) : nil
            do throws(RecordError) {
                let result = try Self.filterOrNothing(bytes, by: &filter, horizon: horizon, mask)
                guard let result else { continue }
                // What comes out is as sound as what went in.
                _ = try decodeRecords(result)
                try RecordBatch(result.span.bytes).verifyChecksum()
                passed += 1
            } catch {
                failed += 1
            }
        }
        #expect(passed > 200)
        #expect(failed > 200)
    }

    /// Nil where nothing was kept.
    private static func filterOrNothing(
        _ bytes: [UInt8], by filter: inout BatchFilter, horizon: Int64?, _ mask: UInt64
    ) throws(RecordError) -> [UInt8]? {
        let batch = try RecordBatch(bytes.span.bytes)
        let selection = try filter.select(from: batch) { record in
            mask >> UInt64(bitPattern: record.offset.rawValue & 63) & 1 == 1
        }
        guard selection.keptCount > 0 else { return nil }
        return try filter.finish(
            selection, of: batch, deleteHorizon: horizon.map { Timestamp(rawValue: $0) }
        ).array
    }
}
