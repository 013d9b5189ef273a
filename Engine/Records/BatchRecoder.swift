/// Gives batches another codec: what a log does with a batch from outside where the topic's
/// `compression.type` names one.
///
/// Everything else of a batch stays: offsets, times, producer, sequence, and the records byte for
/// byte. Made to be reused; one thread at a time.
package struct BatchRecoder: ~Copyable, Sendable {
    private var decoder = RecordDecoder()
    private var compressor = RecordCompressor()
    private var packed = ByteBuffer()

    /// A recoder; takes memory when it meets the first batch.
    package init() {}

    /// Puts `batch` behind what is in `bytes`, its records checked and packed with `codec`.
    ///
    /// - Throws: `codecNotSupported` where this build lacks one of the two codecs, what decoding
    ///   the records throws, and `batchTooLarge` where they outgrow the format's 2 GiB. `bytes` is
    ///   then as it was.
    package mutating func recode(
        _ batch: borrowing RecordBatch, with codec: Codec, behind bytes: inout [UInt8]
    ) throws(RecordError) {
        guard codec.isSupported else {
            throw RecordError(
                .codecNotSupported(codec), position: RecordBatchHeader.Position.attributes)
        }
        try Self.recode(batch, with: codec, &decoder, &compressor, &packed, behind: &bytes)
    }

    private static func recode(
        _ batch: borrowing RecordBatch, with codec: Codec, _ decoder: inout RecordDecoder,
        _ compressor: inout RecordCompressor, _ packed: inout ByteBuffer,
        behind bytes: inout [UInt8]
    ) throws(RecordError) {
        let start = RecordBatchHeader.byteCount
        var cursor = try decoder.records(of: batch)
        let first = cursor.position
        let records = cursor.bytes.part(at: first, count: cursor.bytes.byteCount - first)
        // Kafka does not rewrite records that a reader would stumble over either.
        try cursor.validateRest()
        var end = start
        if codec == .none {
            end = packed.copy(records, to: start)
        } else {
            unsafe records.withUnsafeBytes { records in
                end += unsafe compressor.compress(
                    records, with: codec, into: &packed, at: start)
            }
        }
        guard end <= Int(Int32.max) else {
            throw RecordError(.batchTooLarge(bytes: end, limit: Int(Int32.max)), position: 0)
        }
        var header = batch.header
        header.attributes = header.attributes.with(codec)
        header.sizeInBytes = end
        var whole = unsafe MutableRawSpan(
            _unsafeBytes: UnsafeMutableRawBufferPointer(rebasing: packed.bytes[..<end]))
        header.encodeWithChecksum(into: &whole)
        bytes.append(whole.bytes)
    }
}

extension BatchAttributes {
    /// The same, with another codec.
    fileprivate func with(_ codec: Codec) -> BatchAttributes {
        BatchAttributes(rawValue: rawValue & ~Self.codecMask | Int16(codec.rawValue))
    }
}
