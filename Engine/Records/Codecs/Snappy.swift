#if Snappy
    import CSnappy

    // Snappy comes in two forms. Raw: one block, its unpacked length in front (librdkafka). In the
    // framing of xerial's snappy-java (Kafka's own clients and most others):
    //
    //   82 "SNAPPY" 00 | version, 4 bytes | oldest version that reads it, 4 bytes |
    //   length of a block, 4 bytes | block | length | block | ...
    //
    // Integers are big-endian. No raw block begins as the framing does: behind its length would
    // stand a copy of what is not there.

    /// Packs bytes with snappy in xerial's framing, as Kafka's Java producers do: blocks of 32 KiB.
    enum SnappyCompressor {
        /// Bytes of a block before it is packed: snappy-java's default.
        private static let blockBytes = 32 << 10

        /// Packs `source` into a stream that begins at `start` in `buffer`, which may lose all it
        /// held when it grows. Returns the stream's size in bytes.
        @unsafe
        static func compress(
            _ source: UnsafeRawBufferPointer, into buffer: inout ByteBuffer, at start: Int
        ) -> Int {
            let blockCount = (source.count + blockBytes - 1) / blockBytes
            let blockBound = 4 + snappy_max_compressed_length(blockBytes)
            buffer.makeRoom(for: Xerial.headerBytes + blockCount * blockBound, at: start)
            var bytes = unsafe MutableRawSpan(_unsafeBytes: buffer.bytes)
            bytes.store(bigEndian: Xerial.magic, at: start)
            bytes.store(bigEndian: Xerial.version, at: start + 8)
            bytes.store(bigEndian: Xerial.version, at: start + 12)
            var end = start + Xerial.headerBytes
            var taken = 0
            while taken < source.count {
                let count = min(blockBytes, source.count - taken)
                var packed = blockBound - 4
                let status = unsafe snappy_compress(
                    (source.baseAddress! + taken).assumingMemoryBound(to: CChar.self), count,
                    (buffer.bytes.baseAddress! + end + 4).assumingMemoryBound(to: CChar.self),
                    &packed)
                // It fails only for want of room, which its own bound rules out.
                guard status == SNAPPY_OK else { fatalError("snappy could not compress") }
                bytes.store(bigEndian: Int32(packed), at: end)
                end += 4 + packed
                taken += count
            }
            return end - start
        }
    }

    /// Unpacks snappy in both forms. It has no state.
    enum SnappyDecompressor {
        /// Unpacks what fills `source` from `start` into the beginning of `buffer` and returns the
        /// number of bytes. A block declares its unpacked length; it is believed only up to what
        /// so many packed bytes can possibly give.
        ///
        /// - Throws: `malformedCompressedData`, or `decompressedTooLarge` where more than
        ///   `bytesMax` would come out.
        static func decompress(
            _ source: RawSpan, from start: Int, into buffer: inout ByteBuffer, bytesMax: Int
        ) throws(RecordError) -> Int {
            var produced = 0
            guard Xerial.begins(source, at: start) else {
                try unpackBlock(
                    source, start..<source.byteCount, into: &buffer, &produced, bytesMax)
                return produced
            }
            guard Xerial.isReadable(source, at: start) else {
                throw RecordError(.malformedCompressedData, position: start + 8)
            }
            var position = start + Xerial.headerBytes
            while position < source.byteCount {
                let available = source.byteCount - position - 4
                let length =
                    available < 0 ? -1 : Int(source.bigEndian(at: position, as: Int32.self))
                guard length >= 0, length <= available else {
                    throw RecordError(.malformedCompressedData, position: position)
                }
                position += 4
                try unpackBlock(
                    source, position..<position + length, into: &buffer, &produced, bytesMax)
                position += length
            }
            return produced
        }

        /// Three bytes, a copy, give 64 at most.
        private static func unpackedBytesMax(of packed: Int) -> Int { packed * 64 / 3 }

        /// Unpacks one block behind what is there already.
        private static func unpackBlock(
            _ source: RawSpan, _ range: Range<Int>, into buffer: inout ByteBuffer,
            _ produced: inout Int, _ bytesMax: Int
        ) throws(RecordError) {
            let block = source.part(at: range.lowerBound, count: range.count)
            let malformed = RecordError(.malformedCompressedData, position: range.lowerBound)
            var declared = 0
            let isDeclared = unsafe block.withUnsafeBytes { bytes in
                let packed = unsafe bytes.bindMemory(to: CChar.self).baseAddress
                return unsafe snappy_uncompressed_length(packed, bytes.count, &declared)
            }
            guard isDeclared == SNAPPY_OK, declared <= unpackedBytesMax(of: block.byteCount)
            else { throw malformed }
            guard declared <= bytesMax - produced else {
                throw RecordError(
                    .decompressedTooLarge(limit: bytesMax), position: range.lowerBound)
            }
            // An empty block wants a place for its bytes too.
            buffer.makeRoom(for: max(1, declared), behind: produced, capacityMax: bytesMax)
            var unpacked = declared
            let status = unsafe block.withUnsafeBytes { bytes in
                unsafe snappy_uncompress(
                    bytes.bindMemory(to: CChar.self).baseAddress, bytes.count,
                    (buffer.bytes.baseAddress! + produced).assumingMemoryBound(to: CChar.self),
                    &unpacked)
            }
            guard status == SNAPPY_OK, unpacked == declared else { throw malformed }
            produced += declared
        }
    }

    /// The header of xerial's framing.
    private enum Xerial {
        static let headerBytes = 16
        static let magic: UInt64 = 0x8253_4e41_5050_5900
        /// The version that is written, and the oldest there is.
        static let version: Int32 = 1

        static func begins(_ bytes: RawSpan, at start: Int) -> Bool {
            bytes.byteCount - start >= 8
                && bytes.bigEndian(at: start, as: UInt64.self) == magic
        }

        /// Whether the header that begins at `start` is whole and of a version there is; with the
        /// oldest reader's version snappy-java does nothing either.
        static func isReadable(_ bytes: RawSpan, at start: Int) -> Bool {
            bytes.byteCount - start >= headerBytes
                && bytes.bigEndian(at: start + 8, as: Int32.self) >= version
        }
    }
#endif
