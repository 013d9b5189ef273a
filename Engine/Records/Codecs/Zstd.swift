#if Zstd
    import CZstd

    /// Packs bytes into one zstd frame (RFC 8878) at level 3, Kafka's default, without a checksum.
    /// The state is kept from frame to frame.
    @safe
    struct ZstdCompressor: ~Copyable, @unchecked Sendable {
        /// libzstd's state, whose defaults are what is wanted; nil until the first frame.
        private var context: OpaquePointer?

        init() { unsafe context = nil }

        deinit { unsafe ZSTD_freeCCtx(context) }

        /// Packs `source` into one frame that begins at `start` in `buffer`, which may lose all it
        /// held when it grows. Returns the frame's size in bytes.
        @unsafe
        mutating func compress(
            _ source: UnsafeRawBufferPointer, into buffer: inout ByteBuffer, at start: Int
        ) -> Int {
            if unsafe context == nil { unsafe context = ZSTD_createCCtx() }
            guard let context = unsafe context else {
                fatalError("libzstd could not allocate its compression state")
            }
            let bound = ZSTD_compressBound(source.count)
            buffer.makeRoom(for: bound, at: start)
            let size = unsafe ZSTD_compress2(
                context, buffer.bytes.baseAddress! + start, bound, source.baseAddress,
                source.count)
            // It fails only for want of room, which its own bound rules out, or of memory.
            guard ZSTD_isError(size) == 0 else {
                fatalError("libzstd could not compress: \(ZSTD_getErrorCode(size))")
            }
            return size
        }
    }

    /// Unpacks zstd frames with a state that is kept from frame to frame.
    ///
    /// Each frame is unpacked by one call into its final place, so that no memory is taken for the
    /// window that a frame declares, up to 128 MiB with the higher levels.
    @safe
    struct ZstdDecompressor: ~Copyable, @unchecked Sendable {
        /// libzstd's state; nil until the first frame.
        private var context: OpaquePointer?

        init() { unsafe context = nil }

        deinit { unsafe ZSTD_freeDCtx(context) }

        /// Unpacks the frames that fill `source` from `start` into the beginning of `buffer` and
        /// returns the number of bytes. There is one frame at least; frames may follow one another
        /// and skippable ones stand between them, as Java's reader takes them.
        ///
        /// - Throws: `malformedCompressedData`, `trailingBytes` where what follows a frame is
        ///   none, or `decompressedTooLarge` where more than `bytesMax` come out.
        mutating func decompress(
            _ source: RawSpan, from start: Int, into buffer: inout ByteBuffer, bytesMax: Int
        ) throws(RecordError) -> Int {
            var position = start
            var produced = 0
            repeat {
                guard let kind = ZstdFrame.kind(of: source, at: position) else {
                    throw RecordError(
                        position == start
                            ? .malformedCompressedData
                            : .trailingBytes(source.byteCount - position), position: position)
                }
                guard let frame = ZstdFrame(kind, in: source, at: position) else {
                    throw RecordError(.malformedCompressedData, position: position)
                }
                if kind == .data {
                    try unpack(frame, of: source, into: &buffer, &produced, bytesMax)
                }
                position = frame.range.upperBound
            } while position < source.byteCount
            return produced
        }

        /// Unpacks one frame behind what is there already.
        private mutating func unpack(
            _ frame: ZstdFrame, of source: RawSpan, into buffer: inout ByteBuffer,
            _ produced: inout Int, _ bytesMax: Int
        ) throws(RecordError) {
            let context = unsafe prepareContext()
            let room = min(frame.unpackedBytesMax, bytesMax - produced)
            // An empty frame wants a place for its bytes too.
            buffer.makeRoom(for: max(1, room), behind: produced, capacityMax: bytesMax)
            let bytes = source.part(at: frame.range.lowerBound, count: frame.range.count)
            let size = unsafe bytes.withUnsafeBytes { bytes in
                unsafe ZSTD_decompressDCtx(
                    context, buffer.bytes.baseAddress! + produced, room, bytes.baseAddress,
                    bytes.count)
            }
            if ZSTD_isError(size) == 0 {
                produced += size
                return
            }
            let code = ZSTD_getErrorCode(size)
            guard code != ZSTD_error_memory_allocation else {
                fatalError("libzstd could not allocate what it unpacks with")
            }
            // Where all had room that the frame can hold, it holds more than it says.
            let isTooLarge =
                code == ZSTD_error_dstSize_tooSmall && room < frame.unpackedBytesMax
            throw RecordError(
                isTooLarge ? .decompressedTooLarge(limit: bytesMax) : .malformedCompressedData,
                position: frame.range.lowerBound)
        }

        @unsafe
        private mutating func prepareContext() -> OpaquePointer {
            if unsafe context == nil { unsafe context = ZSTD_createDCtx() }
            guard let context = unsafe context else {
                fatalError("libzstd could not allocate its decompression state")
            }
            return unsafe context
        }
    }
#endif
