import TallyRecords
import Testing

/// One damage of a good batch, and what must be said about it.
struct Damage: CustomTestStringConvertible, Sendable {
    var name: String
    var kind: RecordError.Kind
    var position: Int
    var damage: @Sendable (inout [UInt8]) -> Void

    var testDescription: String { name }

    init(
        _ name: String, _ kind: RecordError.Kind, at position: Int,
        _ damage: @escaping @Sendable (inout [UInt8]) -> Void
    ) {
        self.name = name
        self.kind = kind
        self.position = position
        self.damage = damage
    }

    /// Puts `bytes` where the record's bytes from `position` on were, `count` of them.
    static func replacing(
        _ position: Int, _ count: Int, _ bytes: [UInt8]
    ) -> @Sendable (inout [UInt8]) -> Void {
        { $0.replaceSubrange(position..<position + count, with: bytes) }
    }
}

@Suite("damage")
struct CorruptionTests {
    /// Two records; the first, with two headers, is laid out as follows.
    ///
    /// ```
    /// 61 length 14 | 62 attributes | 63 timestamp delta | 64 offset delta | 65 key length
    /// 66 key "k" | 67 value length | 68 value "v" | 69 header count | 70 name length | 71 "h"
    /// 72 value length | 73 "x" | 74 name length | 75 value length -1
    /// 76 the second record's length 6 ... 80 key -1 | 81 value -1 | 82 headers 0
    /// ```
    static func goodBatch() throws -> [UInt8] {
        try encode([
            PlainRecord(
                offset: 0, timestamp: 10, key: Array("k".utf8), value: Array("v".utf8),
                headers: [
                    PlainHeader(key: Array("h".utf8), value: Array("x".utf8)),
                    PlainHeader(key: [], value: nil),
                ]),
            PlainRecord(offset: 1, timestamp: 12, key: nil, value: nil),
        ])
    }

    @Test("the layout that the damages rely on")
    func layout() throws {
        let bytes = try Self.goodBatch()
        let first: [UInt8] = [28, 0, 0, 0, 2, 0x6b, 2, 0x76, 4, 2, 0x68, 2, 0x78, 0, 1]
        #expect(bytes[61...] == ArraySlice(first + [12, 0, 4, 2, 1, 1, 0]))
    }

    /// Damage to the header, found before the checksum is.
    static let headerDamages: [Damage] = [
        Damage("no bytes", .truncated(needed: 61, available: 0), at: 0) { $0 = [] },
        Damage("half a header", .truncated(needed: 61, available: 60), at: 0) {
            $0.removeLast($0.count - 60)
        },
        Damage("half a batch", .truncated(needed: 83, available: 82), at: 0) { $0.removeLast() },
        Damage("zeros", .badLength(0), at: 8) { $0 = [UInt8](repeating: 0, count: 83) },
        Damage("an older magic", .wrongMagic(1), at: 16) { $0[16] = 1 },
        Damage("a later magic", .wrongMagic(3), at: 16) { $0[16] = 3 },
        Damage("a length below the header", .badLength(48), at: 8) {
            overwrite(&$0, at: 8, Int32(48))
        },
        Damage("a negative length", .badLength(-1), at: 8) { overwrite(&$0, at: 8, Int32(-1)) },
        Damage("the least length", .badLength(Int(Int32.min)), at: 8) {
            overwrite(&$0, at: 8, Int32.min)
        },
        Damage(
            "the largest length", .truncated(needed: Int(Int32.max) + 12, available: 83), at: 0
        ) { overwrite(&$0, at: 8, Int32.max) },
        Damage("an unknown codec", .badAttributes(5), at: 21) { $0[22] = 5 },
        Damage("a negative count", .badCount(-1), at: 57) { overwrite(&$0, at: 57, Int32(-1)) },
        Damage(
            "a negative last offset", .badOffsetRange(lastOffsetDelta: -1, recordCount: 2), at: 23
        ) { overwrite(&$0, at: 23, Int32(-1)) },
        Damage(
            "fewer offsets than records", .badOffsetRange(lastOffsetDelta: 1, recordCount: 3),
            at: 23
        ) { overwrite(&$0, at: 57, Int32(3)) },
        Damage("a negative base offset", .badOffset(-1), at: 0) {
            overwrite(&$0, at: 0, Int64(-1))
        },
        Damage("no room for the last offset", .badOffset(.max - 1), at: 0) {
            overwrite(&$0, at: 0, Int64.max - 1)
        },
    ]

    @Test("a damaged header is named with its place", arguments: headerDamages)
    func headers(damage: Damage) throws {
        var bytes = try Self.goodBatch()
        damage.damage(&bytes)
        let error = #expect(throws: RecordError.self) { _ = try RecordBatch(bytes.span.bytes) }
        #expect(error == RecordError(damage.kind, position: damage.position))
        #expect(error?.isCorruption == true)
        // And where the batch is not the first, at its place in the bytes.
        let later = [UInt8](repeating: 9, count: 100) + bytes
        let shifted = #expect(throws: RecordError.self) {
            _ = try RecordBatch(later.span.bytes, at: 100)
        }
        #expect(shifted == RecordError(damage.kind, position: damage.position + 100))
    }

    /// Damage to the records that the checksum, made again, does not find.
    static let recordDamages: [Damage] = [
        Damage("no records", .truncated(needed: 1, available: 0), at: 61) {
            $0.removeLast($0.count - 61)
        },
        Damage("one record fewer", .truncated(needed: 1, available: 0), at: 76) {
            $0.removeLast(7)
        },
        Damage("one record more", .trailingBytes(7), at: 76) {
            overwrite(&$0, at: 57, Int32(1))
        },
        Damage("bytes behind the records", .trailingBytes(3), at: 83) { $0 += [1, 2, 3] },
        Damage("records behind count 0", .trailingBytes(22), at: 61) {
            overwrite(&$0, at: 57, Int32(0))
        },
        Damage(
            "a record beyond the batch", .recordOutOfBounds(length: 22, available: 21), at: 61,
            Damage.replacing(61, 1, [44])),
        Damage(
            "a negative record length", .badLength(-1), at: 61,
            Damage.replacing(61, 1, [1])),
        Damage(
            "a record of no bytes", .truncated(needed: 1, available: 0), at: 62,
            Damage.replacing(61, 1, [0])),
        Damage(
            "a record that ends in its first fields", .truncated(needed: 1, available: 0), at: 64,
            Damage.replacing(61, 1, [4])),
        Damage(
            "a length without an end", .malformedVarint, at: 61,
            Damage.replacing(61, 1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x01])),
        Damage(
            "a zero of six bytes", .malformedVarint, at: 61,
            Damage.replacing(61, 1, [0x80, 0x80, 0x80, 0x80, 0x80, 0x00])),
        Damage(
            "a length of more than 32 bits", .malformedVarint, at: 61,
            Damage.replacing(61, 1, [0xff, 0xff, 0xff, 0xff, 0x10])),
        Damage(
            "the largest length of 32 bits",
            .recordOutOfBounds(length: Int(Int32.max), available: 21), at: 61,
            Damage.replacing(61, 1, [0xfe, 0xff, 0xff, 0xff, 0x0f])),
        Damage(
            "a timestamp of more than 64 bits", .malformedVarint, at: 63,
            Damage.replacing(
                61, 3,
                [46, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02])),
        Damage(
            "a timestamp of eleven bytes", .malformedVarint, at: 63,
            Damage.replacing(
                61, 3,
                [48, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01])),
        Damage(
            "a zero of eleven bytes", .malformedVarint, at: 63,
            Damage.replacing(
                61, 3,
                [48, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00])),
        Damage(
            "a timestamp cut off by its record's end", .malformedVarint, at: 63,
            Damage.replacing(61, 3, [4, 0, 0x80])),
        Damage(
            "a negative offset delta",
            .offsetDeltaOutOfOrder(delta: -1, previous: -1, last: 1), at: 64,
            Damage.replacing(64, 1, [1])),
        Damage(
            "an offset beyond the last",
            .offsetDeltaOutOfOrder(delta: 2, previous: -1, last: 1), at: 64,
            Damage.replacing(64, 1, [4])),
        Damage(
            "the same offset twice", .offsetDeltaOutOfOrder(delta: 0, previous: 0, last: 1),
            at: 79, Damage.replacing(79, 1, [0])),
        Damage(
            "a key length below -1", .badLength(-2), at: 65, Damage.replacing(65, 1, [3])),
        Damage(
            "a key beyond its record", .recordOutOfBounds(length: 32, available: 10), at: 65,
            Damage.replacing(65, 1, [64])),
        Damage(
            "a value length below -1", .badLength(-64), at: 67, Damage.replacing(67, 1, [127])),
        Damage(
            "a value beyond its record", .recordOutOfBounds(length: 9, available: 8), at: 67,
            Damage.replacing(67, 1, [18])),
        Damage(
            "a negative header count", .badCount(-1), at: 69, Damage.replacing(69, 1, [1])),
        Damage(
            "more headers than bytes", .badCount(4), at: 69, Damage.replacing(69, 1, [8])),
        Damage(
            "bytes behind a record without headers", .trailingBytes(6), at: 70,
            Damage.replacing(69, 1, [0])),
        Damage(
            "fewer headers than there are", .trailingBytes(2), at: 74,
            Damage.replacing(69, 1, [2])),
        Damage(
            "one header more than there is", .truncated(needed: 1, available: 0), at: 76,
            Damage.replacing(69, 1, [6])),
        Damage(
            "a header without a name", .badLength(-1), at: 70, Damage.replacing(70, 1, [1])),
        Damage(
            "a header name beyond its record", .recordOutOfBounds(length: 6, available: 5),
            at: 70, Damage.replacing(70, 1, [12])),
        Damage(
            "a header value beyond its record", .recordOutOfBounds(length: 4, available: 3),
            at: 72, Damage.replacing(72, 1, [8])),
    ]

    @Test("a damaged record is named with its place", arguments: recordDamages)
    func records(damage: Damage) throws {
        var bytes = try Self.goodBatch()
        damage.damage(&bytes)
        reseal(&bytes)
        let error = #expect(throws: RecordError.self) { try decodeRecords(bytes) }
        #expect(error == RecordError(damage.kind, position: damage.position))
        #expect(throws: RecordError(damage.kind, position: damage.position)) {
            var decoder = RecordDecoder()
            try decoder.validateRecords(of: try RecordBatch(bytes.span.bytes))
        }
    }

    @Test("without a new checksum, any single flipped bit behind it is found")
    func bitFlips() throws {
        let good = try Self.goodBatch()
        for bit in (17 * 8)..<(good.count * 8) {
            var bytes = good
            bytes[bit / 8] ^= 1 << (bit % 8)
            let error = #expect(throws: RecordError.self) {
                let batch = try RecordBatch(bytes.span.bytes)
                try batch.verifyChecksum()
            }
            if case .checksumMismatch(let stored, let computed) = error?.kind {
                #expect(stored != computed)
                #expect(error?.position == 17)
            }
        }
    }

    @Test("an error is thrown again by every further call")
    func repeated() throws {
        var bytes = try Self.goodBatch()
        bytes[79] = 0
        reseal(&bytes)
        var decoder = RecordDecoder()
        let batch = try RecordBatch(bytes.span.bytes)
        var cursor = try decoder.records(of: batch)
        _ = try cursor.next()
        for _ in 0..<3 {
            do {
                _ = try cursor.next()
                Issue.record("the second record was given out")
            } catch {
                #expect(error.kind == .offsetDeltaOutOfOrder(delta: 0, previous: 0, last: 1))
            }
        }
    }

    @Test("positions in decompressed records are counted from their first byte, and say so")
    func decompressed() throws {
        var builder = try RecordBatchBuilder(codec: .lz4)
        try builder.append(key: nil, value: nil, timestamp: .none)
        try builder.append(key: nil, value: nil, timestamp: .none)
        var bytes = try builder.finish().array
        overwrite(&bytes, at: 57, Int32(1))
        reseal(&bytes)
        let error = #expect(throws: RecordError.self) { try decodeRecords(bytes) }
        #expect(
            error == RecordError(.trailingBytes(7), position: 7, isInDecompressedRecords: true))
        #expect(error?.description == "7 bytes left over, at byte 7 of the decompressed records")
    }

    @Test("a batch that compaction emptied has no records, whatever its codec", arguments: 0...4)
    func empty(codec: Int) throws {
        var bytes = Array(try Self.goodBatch().prefix(61))
        overwrite(&bytes, at: 21, Int16(codec))
        overwrite(&bytes, at: 57, Int32(0))
        reseal(&bytes)
        #expect(try decodeRecords(bytes) == [])
        #expect(try RecordBatch(bytes.span.bytes).header.lastOffset == Offset(1))
    }

    @Test("positions outside the bytes are an error and no trap")
    func positions() throws {
        let bytes = try Self.goodBatch()
        for position in [-1, .min, bytes.count + 1, .max] {
            let error = #expect(throws: RecordError.self) {
                _ = try RecordBatch(bytes.span.bytes, at: position)
            }
            #expect(error?.kind == .truncated(needed: 61, available: 0))
            #expect(RecordBatchHeader.sizeInBytes(peeking: bytes.span.bytes, at: position) == nil)
        }
        let size = RecordBatchHeader.sizeInBytes(peeking: bytes.span.bytes.extracting(0..<12))
        #expect(size == bytes.count)
        #expect(RecordBatchHeader.sizeInBytes(peeking: bytes.span.bytes.extracting(0..<11)) == nil)
    }
}
