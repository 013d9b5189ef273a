import Foundation
import Testing

@testable import TallyRecords

/// LZ4 frames that Kafka's producer would not write and a reader must take, or must refuse.
@Suite("LZ4 frames")
struct FrameTests {
    static let files = [
        "independent-64k", "linked-64k", "independent-4m-content-size-and-checksum",
        "linked-64k-every-checksum", "independent-256k-high-compression",
    ]

    /// The records in all of the fixture's frames.
    static let records: [PlainRecord] = (0..<3_000).map { index in
        PlainRecord(
            offset: Int64(index), timestamp: 1_700_000_000_000 + Int64(index),
            key: Array("key-\(index % 97)".utf8),
            value: Array("event \(index) of the frame fixture, number \(index % 13)".utf8))
    }

    /// A batch of `records` with this frame in place of its own.
    static func batch(frame: [UInt8]) throws -> [UInt8] {
        var bytes = Array(try encode(records, codec: .lz4).prefix(61)) + frame
        reseal(&bytes)
        return bytes
    }

    static func frame(_ name: String) throws -> [UInt8] {
        let file = Golden.fixtures.appendingPathComponent("lz4-frames/\(name).lz4")
        return [UInt8](try Data(contentsOf: file))
    }

    @Test("every option of the format is read", arguments: files)
    func options(name: String) throws {
        #expect(try decodeRecords(Self.batch(frame: Self.frame(name))) == Self.records)
    }

    @Test("a frame cut anywhere is malformed", arguments: files)
    func cut(name: String) throws {
        let frame = try Self.frame(name)
        var random = TestRandom(for: "cutting \(name)")
        let cuts =
            Array(0..<20)
            + (0..<60).map { _ in
                Int.random(in: 20..<frame.count, using: &random)
            }
        for cut in cuts + [frame.count - 1] {
            let bytes = try Self.batch(frame: Array(frame.prefix(cut)))
            let error = #expect(throws: RecordError.self) { try decodeRecords(bytes) }
            #expect(error?.kind == .malformedCompressedData, "\(cut) of \(frame.count)")
        }
    }

    @Test("bytes behind the frame are an error, a second frame too", arguments: files)
    func trailing(name: String) throws {
        let frame = try Self.frame(name)
        for extra in [[0], Array("garbage".utf8), frame] {
            let bytes = try Self.batch(frame: frame + extra)
            let error = #expect(throws: RecordError.self) { try decodeRecords(bytes) }
            #expect(error?.kind == .trailingBytes(extra.count))
            #expect(error?.position == 61 + frame.count)
        }
    }

    @Test("a skippable frame is no frame to Kafka")
    func skippable() throws {
        let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]
        for frame in [skippable, skippable + (try Self.frame("linked-64k"))] {
            let error = #expect(throws: RecordError.self) {
                try decodeRecords(Self.batch(frame: frame))
            }
            #expect(error?.kind == .malformedCompressedData)
            #expect(error?.position == 61)
        }
    }

    @Test("unpacking stops at the limit", arguments: files)
    func limit(name: String) throws {
        let bytes = try Self.batch(frame: Self.frame(name))
        let size = try encode(Self.records).count - 61
        #expect(try decodeRecords(bytes, decompressedBytesMax: size) == Self.records)
        for limit in [size - 1, 70_000, 1, 0] {
            let error = #expect(throws: RecordError.self) {
                try decodeRecords(bytes, decompressedBytesMax: limit)
            }
            #expect(error?.kind == .decompressedTooLarge(limit: limit))
        }
    }

    @Test("records that unpack to a hundred times their size are whole")
    func growth() throws {
        let value = (0..<3_000_000).map { UInt8($0 % 251) }
        let records = [PlainRecord(offset: 0, timestamp: 0, key: nil, value: value)]
        let bytes = try encode(records, codec: .lz4)
        #expect(bytes.count < 30_000)
        #expect(try decodeRecords(bytes) == records)
    }

    @Test("a bomb takes no more memory than the limit and a block")
    func bomb() throws {
        // 40 MB of zeros in 160 kB: a record that would be legal.
        let zeros = PlainRecord(
            offset: 0, timestamp: 0, key: nil, value: [UInt8](repeating: 0, count: 40_000_000))
        let bytes = try encode([zeros], codec: .lz4)
        #expect(bytes.count < 200_000)
        let limit = 3 << 20
        var decoder = RecordDecoder(decompressedBytesMax: limit)
        let error = #expect(throws: RecordError.self) { try decodeRecords(bytes, by: &decoder) }
        #expect(error?.kind == .decompressedTooLarge(limit: limit))
        let taken = decoder.buffer.capacity
        #expect(taken <= limit + (64 << 10))
        // And the decoder still works.
        let small = try encode(Self.records, codec: .lz4)
        #expect(try decodeRecords(small, by: &decoder) == Self.records)
    }
}
