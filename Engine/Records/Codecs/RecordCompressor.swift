/// Packs the records of batches in every codec that this build has. What the libraries need is
/// taken at the first batch of a codec and kept. Used by one thread at a time.
struct RecordCompressor: ~Copyable, Sendable {
    private var lz4 = LZ4FrameCompressor()
    #if Gzip
        private var gzip = GzipCompressor()
    #endif
    #if Zstd
        private var zstd = ZstdCompressor()
    #endif

    /// Packs `source` with `codec`, from `start` on in `buffer`, which may lose all it held when it
    /// grows. Returns the packed size in bytes.
    ///
    /// The codec is one of this build and not `none`; anything else is a programmer error.
    @unsafe
    mutating func compress(
        _ source: UnsafeRawBufferPointer, with codec: Codec, into buffer: inout ByteBuffer,
        at start: Int
    ) -> Int {
        switch codec {
        case .lz4:
            return unsafe lz4.compress(source, into: &buffer, at: start)
        #if Gzip
            case .gzip:
                return unsafe gzip.compress(source, into: &buffer, at: start)
        #endif
        #if Snappy
            case .snappy:
                return unsafe SnappyCompressor.compress(source, into: &buffer, at: start)
        #endif
        #if Zstd
            case .zstd:
                return unsafe zstd.compress(source, into: &buffer, at: start)
        #endif
        default:
            fatalError("no records are packed with \(codec) by this build")
        }
    }
}

extension ByteBuffer {
    /// Makes room for `count` bytes from `start` on; what the buffer held may be lost.
    mutating func makeRoom(for count: Int, at start: Int) {
        guard start + count > capacity else { return }
        // By half at least: batches that grow little by little shall not allocate each time.
        grow(to: max(start + count, capacity * 3 / 2), keeping: 0)
    }
}
