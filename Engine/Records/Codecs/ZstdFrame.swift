#if Zstd
    /// Where a zstd frame ends, and what it unpacks to at most, as its headers say (RFC 8878, 3.1).
    /// Nothing is unpacked for that, and nothing is believed that the blocks could not hold.
    ///
    /// ```
    /// frame | magic | descriptor | window | dictionary | content size | blocks | checksum |
    /// block | last, type, size: 3 bytes | content |
    /// ```
    struct ZstdFrame {
        /// What the four bytes of a magic number stand for.
        enum Kind { case data, skippable }

        /// The frame's bytes.
        let range: Range<Int>
        /// The most that may come out, in bytes; more than any limit where the frame says so.
        let unpackedBytesMax: Int

        /// No block unpacks to more.
        private static let blockBytesMax = 128 << 10

        /// What begins at `position`; nil where no frame does.
        static func kind(of bytes: RawSpan, at position: Int) -> Kind? {
            guard bytes.byteCount - position >= 4 else { return nil }
            let magic = bytes.bigEndian(at: position, as: UInt32.self).byteSwapped
            if magic == 0xFD2F_B528 { return .data }
            return magic & 0xFFFF_FFF0 == 0x184D_2A50 ? .skippable : nil
        }

        /// The frame of a kind that begins at `position`; nil where its headers are no frame's or
        /// lead beyond the bytes.
        init?(_ kind: Kind, in bytes: RawSpan, at position: Int) {
            switch kind {
            case .skippable:
                guard bytes.byteCount - position >= 8 else { return nil }
                let length = bytes.bigEndian(at: position + 4, as: UInt32.self).byteSwapped
                guard Int(length) <= bytes.byteCount - position - 8 else { return nil }
                range = position..<position + 8 + Int(length)
                unpackedBytesMax = 0
            case .data:
                guard let header = Header(bytes, at: position),
                    let blocks = Self.walk(bytes, from: header.end)
                else { return nil }
                let end = blocks.end + (header.hasChecksum ? 4 : 0)
                guard end <= bytes.byteCount else { return nil }
                range = position..<end
                unpackedBytesMax = min(header.contentBytes ?? .max, blocks.unpackedBytesMax)
            }
        }

        /// The part of a frame that is in front of its blocks.
        private struct Header {
            let end: Int
            let hasChecksum: Bool
            /// What the frame says that it unpacks to; nil where it does not say.
            let contentBytes: Int?

            init?(_ bytes: RawSpan, at position: Int) {
                guard bytes.byteCount - position >= 5 else { return nil }
                let descriptor = bytes.bigEndian(at: position + 4, as: UInt8.self)
                // One piece: what comes out is the window, and no byte tells of another.
                let isSingle = descriptor & 0x20 != 0
                let (sizeFlag, dictionaryFlag) = (Int(descriptor >> 6), Int(descriptor & 3))
                let sizeBytes = sizeFlag == 0 ? (isSingle ? 1 : 0) : 1 << sizeFlag
                let dictionaryBytes = dictionaryFlag == 3 ? 4 : dictionaryFlag
                let sizeStart = position + 5 + (isSingle ? 0 : 1) + dictionaryBytes
                guard sizeStart + sizeBytes <= bytes.byteCount else { return nil }
                end = sizeStart + sizeBytes
                hasChecksum = descriptor & 4 != 0
                let size = bytes.littleEndian(at: sizeStart, byteCount: sizeBytes)
                // Two bytes count from 256: what is smaller needs only one.
                contentBytes =
                    sizeBytes == 0 ? nil : Int(clamping: sizeBytes == 2 ? size + 256 : size)
            }
        }

        /// The end of the blocks from `start` on, and the most that they unpack to; nil where they
        /// lead beyond the bytes.
        private static func walk(
            _ bytes: RawSpan, from start: Int
        ) -> (end: Int, unpackedBytesMax: Int)? {
            var position = start
            var unpackedBytesMax = 0
            while bytes.byteCount - position >= 3 {
                let header = Int(bytes.littleEndian(at: position, byteCount: 3))
                let (type, size) = (header >> 1 & 3, header >> 3)
                // Raw, one byte many times, compressed; the fourth is reserved.
                guard type < 3 else { return nil }
                position += 3 + (type == 1 ? 1 : size)
                guard position <= bytes.byteCount else { return nil }
                unpackedBytesMax += type == 2 ? blockBytesMax : min(size, blockBytesMax)
                if header & 1 != 0 { return (position, unpackedBytesMax) }
            }
            return nil
        }
    }

    extension RawSpan {
        /// The little-endian number in up to eight bytes at `position`.
        fileprivate func littleEndian(at position: Int, byteCount: Int) -> UInt64 {
            var number: UInt64 = 0
            for index in (0..<byteCount).reversed() {
                number = number << 8 | UInt64(bigEndian(at: position + index, as: UInt8.self))
            }
            return number
        }
    }
#endif
