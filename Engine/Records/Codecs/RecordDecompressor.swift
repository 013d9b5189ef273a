/// Unpacks the records of batches in every codec that this build has. What the libraries need is
/// taken at the first batch of a codec and kept. Used by one thread at a time.
struct RecordDecompressor: ~Copyable, Sendable {
    private var lz4 = LZ4FrameDecompressor()
    #if Gzip
        private var gzip = GzipDecompressor()
    #endif
    #if Zstd
        private var zstd = ZstdDecompressor()
    #endif

    /// Unpacks all of a batch behind its header into the beginning of `buffer` and returns the
    /// number of bytes. The buffer grows with what is unpacked, never with what is declared.
    ///
    /// - Throws: `codecNotSupported`, `malformedCompressedData`, `trailingBytes` where more follows
    ///   than the codec's form allows, `decompressedTooLarge` at more than `bytesMax`.
    mutating func decompress(
        _ batch: borrowing RecordBatch, into buffer: inout ByteBuffer, bytesMax: Int
    ) throws(RecordError) -> Int {
        let (bytes, start) = (batch.bytes, RecordBatchHeader.byteCount)
        switch batch.header.codec {
        case .lz4:
            return try lz4.decompress(bytes, from: start, into: &buffer, bytesMax: bytesMax)
        #if Gzip
            case .gzip:
                return try gzip.decompress(bytes, from: start, into: &buffer, bytesMax: bytesMax)
        #endif
        #if Snappy
            case .snappy:
                return try SnappyDecompressor.decompress(
                    bytes, from: start, into: &buffer, bytesMax: bytesMax)
        #endif
        #if Zstd
            case .zstd:
                return try zstd.decompress(bytes, from: start, into: &buffer, bytesMax: bytesMax)
        #endif
        default:
            throw RecordError(
                .codecNotSupported(batch.header.codec),
                position: RecordBatchHeader.Position.attributes)
        }
    }
}

extension ByteBuffer {
    /// Makes room for `count` bytes behind the first `kept`, which stay; doubles up to
    /// `capacityMax`, so that growing by little pieces does not copy again and again.
    mutating func makeRoom(for count: Int, behind kept: Int, capacityMax: Int) {
        guard kept + count > capacity else { return }
        grow(to: max(kept + count, min(capacityMax, capacity * 2)), keeping: kept)
    }
}
