import CLZ4

/// Unpacks LZ4 frames with a state that is kept from frame to frame.
@safe
struct LZ4FrameDecompressor: ~Copyable, @unchecked Sendable {
    /// liblz4's state; nil until the first frame.
    private var context: OpaquePointer?

    /// Room beyond the limit: with a whole block's room liblz4 unpacks in place, else by a copy.
    private static let slack = 64 << 10
    private static let frameMagic: UInt32 = 0x184D_2204

    init() { unsafe context = nil }

    deinit {
        guard let context = unsafe context else { return }
        unsafe LZ4F_freeDecompressionContext(context)
    }

    /// Unpacks the one frame that fills `source` from `start` into the beginning of `buffer`,
    /// which grows with what is really unpacked, and returns the number of bytes.
    ///
    /// - Throws: `malformedCompressedData`, `trailingBytes` behind the frame, or
    ///   `decompressedTooLarge` as soon as more than `bytesMax` have come out.
    mutating func decompress(
        _ source: RawSpan, from start: Int, into buffer: inout ByteBuffer, bytesMax: Int
    ) throws(RecordError) -> Int {
        let frame = source.part(at: start, count: source.byteCount - start)
        // Skippable frames are frames to liblz4, and not to Kafka.
        guard frame.byteCount >= 4,
            frame.bigEndian(at: 0, as: UInt32.self).byteSwapped == Self.frameMagic
        else { throw RecordError(.malformedCompressedData, position: start) }
        let context = unsafe prepareContext()
        // Without overflow even for a limit of Int.max.
        let capacityMax = min(bytesMax, .max - Self.slack) + Self.slack
        buffer.grow(to: min(capacityMax, frame.byteCount * 4 + Self.slack), keeping: 0)
        var consumed = 0
        var produced = 0
        while true {
            if buffer.capacity - produced < Self.slack {
                buffer.grow(to: min(capacityMax, buffer.capacity * 2), keeping: produced)
            }
            var taken = frame.byteCount - consumed
            var given = buffer.capacity - produced
            let hint = unsafe frame.withUnsafeBytes { bytes in
                unsafe LZ4F_decompress(
                    context, buffer.bytes.baseAddress! + produced, &given,
                    bytes.baseAddress! + consumed, &taken, nil)
            }
            consumed += taken
            produced += given
            let position = start + consumed
            guard LZ4F_isError(hint) == 0 else {
                throw RecordError(.malformedCompressedData, position: position)
            }
            guard produced <= bytesMax else {
                throw RecordError(.decompressedTooLarge(limit: bytesMax), position: position)
            }
            if hint == 0 {
                guard consumed == frame.byteCount else {
                    throw RecordError(
                        .trailingBytes(frame.byteCount - consumed), position: position)
                }
                return produced
            }
            // Nothing moved: the frame wants bytes that are not there.
            guard taken > 0 || given > 0 else {
                throw RecordError(.malformedCompressedData, position: position)
            }
        }
    }

    /// The state, ready for a new frame.
    @unsafe
    private mutating func prepareContext() -> OpaquePointer {
        if let context = unsafe context {
            unsafe LZ4F_resetDecompressionContext(context)
            return unsafe context
        }
        var created: OpaquePointer?
        let code = unsafe LZ4F_createDecompressionContext(&created, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(code) == 0, let created = unsafe created else {
            fatalError("liblz4 could not allocate its decompression state")
        }
        unsafe context = created
        return unsafe created
    }
}
