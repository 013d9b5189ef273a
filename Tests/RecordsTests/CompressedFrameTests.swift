import Foundation
import TallyTestSupport
import Testing

@testable import TallyRecords

/// One file of `fixtures/compressed-frames`: the records of `FrameTests`, packed by somebody else.
struct ForeignFrame: CustomTestStringConvertible, Sendable {
    var file: String
    var codec: Codec
    /// Whether it is one frame, so that each cut of it is seen by its codec.
    var isOne = true

    var testDescription: String { file }

    static let all = [
        ForeignFrame(file: "java.gz", codec: .gzip),
        ForeignFrame(file: "two-members.gz", codec: .gzip, isOne: false),
        ForeignFrame(file: "raw.snappy", codec: .snappy),
        ForeignFrame(file: "java.xerial", codec: .snappy, isOne: false),
        ForeignFrame(file: "java.zst", codec: .zstd),
        ForeignFrame(file: "level-22-window-128m.zst", codec: .zstd),
        ForeignFrame(file: "two-frames-and-skippable.zst", codec: .zstd, isOne: false),
    ].filter(\.codec.isSupported)

    func bytes() throws -> [UInt8] {
        let url = Golden.fixtures.appendingPathComponent("compressed-frames/\(file)")
        return [UInt8](try Data(contentsOf: url))
    }
}

/// A batch of `FrameTests.records` with this frame in place of its own.
func batch(of codec: Codec, frame: [UInt8]) throws -> [UInt8] {
    var bytes = Array(try encode(FrameTests.records).prefix(61)) + frame
    bytes[22] = codec.rawValue
    reseal(&bytes)
    return bytes
}

/// Bytes packed as the engine packs them.
func pack(_ bytes: [UInt8], with codec: Codec) -> [UInt8] {
    var compressor = RecordCompressor()
    var buffer = ByteBuffer()
    let size = bytes.withUnsafeBytes {
        compressor.compress($0, with: codec, into: &buffer, at: 0)
    }
    return buffer.prefix(size).array
}

/// What gzip, snappy and zstd allow, in the forms of other programs, and what they do not.
@Suite("Frames of gzip, snappy and zstd")
struct CompressedFrameTests {
    /// The records as they lie in a batch.
    static let payload = (try? encode(FrameTests.records)).map { Array($0[61...]) } ?? []

    static let codecs = Codec.ofThisBuild.filter { $0 != .none && $0 != .lz4 }

    @Test("every form is read", arguments: ForeignFrame.all)
    func forms(_ frame: ForeignFrame) throws {
        let bytes = try batch(of: frame.codec, frame: frame.bytes())
        #expect(try decodeRecords(bytes) == FrameTests.records)
    }

    @Test("a batch of another client is read as it came", arguments: codecs)
    func client(codec: Codec) throws {
        let file = Golden.fixtures
            .appendingPathComponent("compressed-batches/kafka-python-\(codec).batch")
        let bytes = [UInt8](try Data(contentsOf: file))
        let batch = try RecordBatch(bytes.span.bytes)
        try batch.verifyChecksum()
        #expect(batch.header.codec == codec && batch.header.sizeInBytes == bytes.count)
        #expect(try decodeRecords(bytes) == FrameTests.records)
    }

    @Test("a frame cut anywhere is an error", arguments: ForeignFrame.all)
    func cut(_ frame: ForeignFrame) throws {
        let whole = try frame.bytes()
        var random = TestRandom(for: "cutting \(frame.file)")
        let cuts =
            Array(0..<24) + (0..<60).map { _ in 24 + random.below(whole.count - 24) }
            + (1...9).map { whole.count - $0 }
        var decoder = RecordDecoder()
        for cut in cuts {
            let bytes = try batch(of: frame.codec, frame: Array(whole.prefix(cut)))
            let error = #expect(throws: RecordError.self) {
                try decodeRecords(bytes, by: &decoder)
            }
            #expect(error?.isCorruption == true)
            if frame.isOne {
                #expect(error?.kind == .malformedCompressedData, "\(cut) of \(whole.count)")
            }
        }
        // And the decoder still works.
        let bytes = try batch(of: frame.codec, frame: whole)
        #expect(try decodeRecords(bytes, by: &decoder) == FrameTests.records)
    }

    @Test("bytes behind the frame are an error", arguments: ForeignFrame.all)
    func trailing(_ frame: ForeignFrame) throws {
        let whole = try frame.bytes()
        for extra in [[0], Array("garbage".utf8), [0x1f], [0x28, 0xb5]] {
            let bytes = try batch(of: frame.codec, frame: whole + extra)
            let error = #expect(throws: RecordError.self) { try decodeRecords(bytes) }
            // Snappy has no end: what follows is a block that is none.
            #expect(
                error?.kind
                    == (frame.codec == .snappy
                        ? .malformedCompressedData : .trailingBytes(extra.count)))
            if frame.file != "raw.snappy" { #expect(error?.position == 61 + whole.count) }
        }
    }

    @Test("frames that follow one another are one, of gzip and zstd", arguments: codecs)
    func several(codec: Codec) throws {
        // Some thousands, and empty ones among them.
        var frames: [UInt8] = []
        for start in stride(from: 0, to: Self.payload.count, by: 50) {
            let end = min(start + 50, Self.payload.count)
            frames += pack(Array(Self.payload[start..<end]), with: codec)
            if start % 400 == 0 { frames += pack([], with: codec) }
        }
        let bytes = try batch(of: codec, frame: frames)
        if codec == .snappy {
            let error = #expect(throws: RecordError.self) { try decodeRecords(bytes) }
            #expect(error?.kind == .malformedCompressedData)
        } else {
            #expect(try decodeRecords(bytes) == FrameTests.records)
        }
    }

    @Test("unpacking stops at the limit", arguments: ForeignFrame.all)
    func limit(_ frame: ForeignFrame) throws {
        let bytes = try batch(of: frame.codec, frame: frame.bytes())
        let size = Self.payload.count
        #expect(try decodeRecords(bytes, decompressedBytesMax: size) == FrameTests.records)
        for limit in [size - 1, 131_072, 70_001, 70_000, 69_999, 1, 0] {
            let error = #expect(throws: RecordError.self) {
                try decodeRecords(bytes, decompressedBytesMax: limit)
            }
            #expect(error?.kind == .decompressedTooLarge(limit: limit))
            #expect(error?.isCorruption == false)
        }
    }

    @Test("a bomb takes no more memory than the limit and a little", arguments: codecs)
    func bomb(codec: Codec) throws {
        // 40 MB of zeros in a twentieth, with zstd in two thousand bytes: a legal record.
        let zeros = PlainRecord(
            offset: 0, timestamp: 0, key: nil, value: [UInt8](repeating: 0, count: 40_000_000))
        let bytes = try encode([zeros], codec: codec)
        #expect(bytes.count < 2_000_000)
        let limit = 3 << 20
        var decoder = RecordDecoder(decompressedBytesMax: limit)
        let error = #expect(throws: RecordError.self) { try decodeRecords(bytes, by: &decoder) }
        #expect(error?.kind == .decompressedTooLarge(limit: limit))
        let taken = decoder.buffer.capacity
        #expect(taken <= limit + (64 << 10))
        #expect(try decodeRecords(bytes) == [zeros])
    }

    @Test("no records are no frame", arguments: codecs)
    func nothing(codec: Codec) throws {
        let error = #expect(throws: RecordError.self) {
            try decodeRecords(batch(of: codec, frame: []))
        }
        #expect(error == RecordError(.malformedCompressedData, position: 61))
    }

    @Test("records are written as Kafka's Java producers write them", arguments: codecs)
    func written(codec: Codec) throws {
        let frame = Array(try encode(FrameTests.records, codec: codec)[61...])
        switch codec {
        case .gzip:
            // Deflate, no name, no time.
            #expect(Array(frame.prefix(8)) == [0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
        case .zstd:
            #expect(Array(frame.prefix(4)) == [0x28, 0xb5, 0x2f, 0xfd])
            // No checksum, no dictionary.
            #expect(frame[4] & 7 == 0)
        default:
            // The header of the framing, and blocks of 32 KiB.
            let java = ForeignFrame(file: "java.xerial", codec: .snappy)
            #expect(try frame.prefix(16) == java.bytes().prefix(16))
            var sizes: [Int] = []
            var at = 16
            while at < frame.count {
                let length = Int(frame.rawSpan.bigEndian(at: at, as: Int32.self))
                let block = frame[(at + 4)..<(at + 4 + length)]
                let alone = try batch(of: .snappy, frame: Array(block))
                var decoder = RecordDecoder()
                sizes.append(try decoder.unpack(RecordBatch(alone.span.bytes)))
                at += 4 + length
            }
            #expect(sizes.dropLast().allSatisfy { $0 == 32 << 10 })
            #expect(sizes.reduce(0, +) == Self.payload.count)
        }
    }
}
