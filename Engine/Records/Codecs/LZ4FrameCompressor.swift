import CLZ4

/// Packs bytes into LZ4 frames as Kafka's producer does: independent blocks of 64 KiB, no
/// checksums but the descriptor's, no content size, blocks that do not shrink stored as they are.
/// The state is kept from frame to frame.
@safe
struct LZ4FrameCompressor: ~Copyable, @unchecked Sendable {
    /// liblz4's state; nil until the first frame.
    private var context: OpaquePointer?
    private var preferences: LZ4F_preferences_t

    init() {
        unsafe context = nil
        preferences = LZ4F_preferences_t()
        preferences.frameInfo.blockSizeID = LZ4F_max64KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        preferences.frameInfo.contentChecksumFlag = LZ4F_noContentChecksum
        preferences.frameInfo.blockChecksumFlag = LZ4F_noBlockChecksum
        // The whole input is there, so nothing has to pass through liblz4's own buffer.
        preferences.autoFlush = 1
    }

    deinit {
        guard let context = unsafe context else { return }
        unsafe LZ4F_freeCompressionContext(context)
    }

    /// Packs `source` into one frame that begins at `start` in `buffer`, which may lose all it
    /// held when it grows. Returns the frame's size in bytes.
    @unsafe
    mutating func compress(
        _ source: UnsafeRawBufferPointer, into buffer: inout ByteBuffer, at start: Int
    ) -> Int {
        let context = unsafe prepareContext()
        let bound =
            unsafe LZ4F_compressBound(source.count, &preferences)
            + Int(LZ4F_HEADER_SIZE_MAX)
        buffer.makeRoom(for: bound, at: start)
        let frame = unsafe buffer.bytes.baseAddress! + start
        var size = unsafe LZ4F_compressBegin(context, frame, bound, &preferences)
        Self.require(size)
        let blocks = unsafe LZ4F_compressUpdate(
            context, frame + size, bound - size, source.baseAddress, source.count, nil)
        Self.require(blocks)
        size += blocks
        let end = unsafe LZ4F_compressEnd(context, frame + size, bound - size, nil)
        Self.require(end)
        return size + end
    }

    /// liblz4 can fail here only for want of room, which its own bound rules out, or of memory.
    private static func require(_ code: Int) {
        guard LZ4F_isError(code) == 0 else {
            let reason = unsafe String(cString: LZ4F_getErrorName(code))
            fatalError("liblz4 could not compress: \(reason)")
        }
    }

    @unsafe
    private mutating func prepareContext() -> OpaquePointer {
        if let context = unsafe context { return unsafe context }
        var created: OpaquePointer?
        let code = unsafe LZ4F_createCompressionContext(&created, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(code) == 0, let created = unsafe created else {
            fatalError("liblz4 could not allocate its compression state")
        }
        unsafe context = created
        return unsafe created
    }
}
