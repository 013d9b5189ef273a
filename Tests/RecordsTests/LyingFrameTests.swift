import TallyTestSupport
import Testing

@testable import TallyRecords

/// A frame that says what is not so, and what must be said about it.
struct Lie: CustomTestStringConvertible, Sendable {
    var name: String
    var codec: Codec
    var kind: RecordError.Kind
    /// In the frame.
    var position: Int
    var frame: @Sendable () throws -> [UInt8]

    var testDescription: String { name }

    init(
        _ name: String, _ codec: Codec, _ kind: RecordError.Kind = .malformedCompressedData,
        at position: Int = 0, _ frame: @escaping @Sendable () throws -> [UInt8]
    ) {
        self.name = name
        self.codec = codec
        self.kind = kind
        self.position = position
        self.frame = frame
    }
}

/// Frames made by hand, or changed in one place.
@Suite("Frames that lie")
struct LyingFrameTests {
    static let text = Array("nothing but a few bytes".utf8)
    static let limit = 64 << 20

    static let xerial: [UInt8] =
        [0x82] + Array("SNAPPY".utf8) + [0, 0, 0, 0, 1, 0, 0, 0, 1]
    /// A raw block of one literal: its length, the tag, and the bytes.
    static let block: [UInt8] = [23, 22 << 2] + text

    static let snappy: [Lie] = [
        Lie("raw: a length of 4 GiB", .snappy) {
            [0xff, 0xff, 0xff, 0xff, 0x0f, 22 << 2] + text
        },
        Lie("raw: a length that so few bytes cannot give", .snappy) {
            [0x80, 0x80, 0x80, 0x10, 22 << 2] + text
        },
        Lie("raw: a length that is one too large", .snappy) { [24, 22 << 2] + text },
        Lie("raw: a length that is one too small", .snappy) { [22, 22 << 2] + text },
        Lie("raw: a length that does not end", .snappy) { [UInt8](repeating: 0xff, count: 20) },
        Lie("raw: a copy of what is not there", .snappy) { [8, 3 << 2, 1, 2, 3, 4, 0x01, 9] },
        Lie(
            "raw: a length beyond the limit that could be", .snappy,
            .decompressedTooLarge(limit: limit)
        ) {
            // 64 MiB and one byte.
            [0x81, 0x80, 0x80, 0x20] + [UInt8](repeating: 0xfe, count: 3_200_000)
        },
        Lie("xerial: version 0", .snappy, at: 8) {
            xerial.prefix(8) + [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 25] + block
        },
        Lie("xerial: half a header", .snappy, at: 8) { Array(xerial.prefix(12)) },
        Lie("xerial: a length below zero", .snappy, at: 16) { xerial + [0xff, 0, 0, 25] + block },
        Lie("xerial: a length beyond the end", .snappy, at: 16) {
            xerial + [0, 0, 0, 26] + block
        },
        Lie("xerial: a length too short for its block", .snappy, at: 20) {
            xerial + [0, 0, 0, 24] + block
        },
        Lie("xerial: a length of zero", .snappy, at: 20) { xerial + [0, 0, 0, 0] + block },
        Lie("xerial: half a length", .snappy, at: 45) { xerial + [0, 0, 0, 25] + block + [0, 0] },
        Lie("xerial: a second block that lies", .snappy, at: 49) {
            xerial + [0, 0, 0, 25] + block + [0, 0, 0, 2, 0x7f, 0]
        },
    ]

    /// A gzip member of one stored block: 10 bytes of header, 5 of the block's, the bytes, their
    /// checksum and their number.
    static func member() -> [UInt8] {
        let header: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]
        return header + [1, 23, 0, 232, 255] + text + pack(text, with: .gzip).suffix(8)
    }

    static let gzip: [Lie] = [
        Lie("a zlib stream", .gzip, at: 2) { [0x78, 0x9c, 3, 0, 0, 0, 0, 1] },
        Lie("a checksum that is wrong", .gzip, at: 42) {
            var frame = member()
            frame[frame.count - 8] ^= 1
            return frame
        },
        Lie("a size that is wrong", .gzip, at: 46) {
            var frame = member()
            frame[frame.count - 4] ^= 1
            return frame
        },
        Lie("flags that are reserved", .gzip, at: 4) {
            var frame = member()
            frame[3] = 0x20
            return frame
        },
        Lie("a block type that is reserved", .gzip, at: 11) {
            var frame = member()
            frame[10] = 7
            return frame
        },
        Lie("a second member that is none behind its first bytes", .gzip, at: 50) {
            member() + [0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0]
        },
    ]

    static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    static let zstd: [Lie] = [
        Lie("a content size of 4 GiB", .zstd) {
            magic + [0xa0, 0xff, 0xff, 0xff, 0xff] + [23 << 3 | 1, 0, 0] + text
        },
        Lie("a content size below zero, as Java counts", .zstd) {
            magic + [0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80] + [23 << 3 | 1, 0, 0] + text
        },
        Lie("a content size that is too small", .zstd) {
            magic + [0x20, 22] + [23 << 3 | 1, 0, 0] + text
        },
        Lie("half a content size", .zstd) { magic + [0xe0, 1, 2, 3] },
        Lie("a window of 1.9 TB, and no more bytes", .zstd) { magic + [0, 0xff] },
        Lie("a dictionary that nobody has", .zstd) {
            magic + [0x23, 1, 2, 3, 4, 23] + [23 << 3 | 1, 0, 0] + text
        },
        Lie("a descriptor bit that is reserved", .zstd) {
            magic + [0x28, 23] + [23 << 3 | 1, 0, 0] + text
        },
        Lie("a block type that is reserved", .zstd) { magic + [0x20, 23] + [0xbf, 0, 0] + text },
        Lie("a block beyond the end", .zstd) { magic + [0x20, 24] + [0xc1, 0, 0] + text },
        Lie("a block larger than blocks are", .zstd) {
            // One byte two million times.
            magic + [0, 0x58] + [0xfb, 0xff, 0xff] + [9]
        },
        Lie("no last block", .zstd) { magic + [0x20, 23] + [0xb8, 0, 0] + text },
        Lie("a checksum that is not there", .zstd) {
            magic + [0x24, 23] + [0xb9, 0, 0] + text
        },
        Lie("a checksum that is wrong", .zstd) {
            magic + [0x24, 23] + [0xb9, 0, 0] + text + [1, 2, 3, 4]
        },
        Lie("a frame of before the format was settled", .zstd) { [0x27, 0xb5, 0x2f, 0xfd, 0, 0] },
        Lie("a skippable frame beyond the end", .zstd) { [0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1] },
        Lie("half a skippable frame", .zstd) { [0x50, 0x2a, 0x4d, 0x18, 9, 0] },
        Lie("a second frame that is none", .zstd, at: 32) {
            magic + [0x20, 23] + [23 << 3 | 1, 0, 0] + text + [0x50] + [0x2a, 0x4d, 0x18, 9]
        },
    ]

    @Test(
        "a frame that lies is named with its place, and nothing is taken on its word",
        arguments: (snappy + gzip + zstd).filter(\.codec.isSupported))
    func lies(_ lie: Lie) throws {
        let bytes = try batch(of: lie.codec, frame: lie.frame())
        var decoder = RecordDecoder(decompressedBytesMax: Self.limit)
        let error = #expect(throws: RecordError.self) { try decodeRecords(bytes, by: &decoder) }
        #expect(error == RecordError(lie.kind, position: 61 + lie.position))
        let taken = decoder.buffer.capacity
        #expect(taken <= 128 << 10)
    }

    @Test("frames made by hand are read where they are right")
    func truths() throws {
        var frames: [(Codec, [UInt8])] = []
        frames.append((.snappy, Self.block))
        frames.append((.snappy, Self.xerial + [0, 0, 0, 25] + Self.block))
        let header = Self.magic + [0x20, 23]
        frames.append((.zstd, header + [23 << 3 | 1, 0, 0] + Self.text))
        // A last block without content.
        frames.append((.zstd, header + [23 << 3, 0, 0] + Self.text + [1, 0, 0]))
        // A dictionary's number, two bytes long, that is no dictionary's.
        frames.append((.zstd, Self.magic + [0x22, 0, 0, 23, 23 << 3 | 1, 0, 0] + Self.text))
        if Codec.gzip.isSupported { frames.append((.gzip, Self.member())) }
        for (codec, frame) in frames where codec.isSupported {
            let bytes = try batch(of: codec, frame: frame)
            var decoder = RecordDecoder()
            let count = try decoder.unpack(RecordBatch(bytes.span.bytes))
            let unpacked = decoder.buffer.prefix(count).array
            #expect(unpacked == Self.text)
        }
    }
}
