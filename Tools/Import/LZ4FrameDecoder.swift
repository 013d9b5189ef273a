import CLZ4

/// liblz4's streaming decoder of the LZ4 frame format: any number of frames, one after the other,
/// with their header, block and content checksums verified. One thread at a time.
final class LZ4FrameDecoder {
    /// What one call did.
    struct Step {
        /// Bytes of the input that are done with.
        let consumed: Int
        /// Bytes written to the output.
        let produced: Int
    }

    /// Whether a frame has begun and not ended: the input must not end here.
    private(set) var isInsideFrame = false

    private let inputName: String
    private let context: OpaquePointer

    init(inputName: String) throws(ByteInputError) {
        var context: OpaquePointer?
        let result = LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(result) == 0, let context else {
            throw .outOfMemory
        }
        self.context = context
        self.inputName = inputName
    }

    deinit {
        LZ4F_freeDecompressionContext(context)
    }

    /// Decompresses as much of `input` as fits into `output` from `start` on.
    ///
    /// Bytes that did not fit come with the next call, even if its input is empty. After an error
    /// the decoder is of no more use.
    func decompress(
        _ input: ArraySlice<UInt8>, into output: inout [UInt8], from start: Int
    ) throws(ByteInputError) -> Step {
        var consumed = input.count
        var produced = output.count - start
        // Zero when the frame is complete, else a guess at how many bytes the next call wants.
        let result = input.withUnsafeBytes { source in
            output.withUnsafeMutableBytes { target in
                LZ4F_decompress(
                    context, target.baseAddress! + start, &produced, source.baseAddress, &consumed,
                    nil)
            }
        }
        guard LZ4F_isError(result) == 0 else {
            throw .damagedFrame(
                name: inputName, problem: String(cString: LZ4F_getErrorName(result)))
        }
        if result == 0 {
            isInsideFrame = false
        } else if consumed > 0 {
            isInsideFrame = true
        }
        return Step(consumed: consumed, produced: produced)
    }

    /// Whether these are the first bytes of a frame, or of a skippable one.
    static func startsFrame(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let magic = magic(of: bytes) else { return false }
        return magic == 0x184D_2204 || magic & 0xFFFF_FFF0 == 0x184D_2A50
    }

    /// Whether these are the first bytes of the format before the frame format.
    static func startsLegacyFrame(_ bytes: ArraySlice<UInt8>) -> Bool {
        magic(of: bytes) == 0x184C_2102
    }

    private static func magic(of bytes: ArraySlice<UInt8>) -> UInt32? {
        guard bytes.count >= 4 else { return nil }
        return bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
