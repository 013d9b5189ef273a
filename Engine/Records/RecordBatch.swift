/// A view of one whole record batch in bytes that somebody else holds; copies nothing.
///
/// Creating one checks the header and that the batch is all there. The checksum is checked by
/// `verifyChecksum()`, the records while a `RecordDecoder` walks them. A value that cannot outlive
/// its bytes; as safe to share between threads as they are.
public struct RecordBatch: ~Escapable, BitwiseCopyable {
    /// The decoded header.
    public let header: RecordBatchHeader
    /// The batch's exact bytes, header included.
    public let bytes: RawSpan

    /// The batch that begins at `position` in `bytes`; what follows it is left alone.
    ///
    /// - Throws: what decoding the header throws, and `truncated` where the batch is longer than
    ///   what is there. Positions count from the start of `bytes`.
    @inlinable
    @_lifetime(copy bytes)
    public init(_ bytes: RawSpan, at position: Int = 0) throws(RecordError) {
        let header = try RecordBatchHeader(decoding: bytes, at: position)
        let available = bytes.byteCount &- position
        guard header.sizeInBytes <= available else {
            throw RecordError(
                .truncated(needed: header.sizeInBytes, available: available), position: position)
        }
        self.header = header
        self.bytes = bytes.part(at: position, count: header.sizeInBytes)
    }

    /// The bytes after the header: records, or one compressed frame of them.
    @inlinable
    package var recordBytes: RawSpan {
        @_lifetime(copy self)
        get {
            let headerBytes = RecordBatchHeader.byteCount
            return bytes.part(at: headerBytes, count: bytes.byteCount &- headerBytes)
        }
    }

    /// Compares the stored checksum with that of the bytes it covers: attributes to end.
    ///
    /// - Throws: `checksumMismatch`.
    public func verifyChecksum() throws(RecordError) {
        let computed = Self.checksum(of: bytes)
        guard computed == header.checksum else {
            throw RecordError(
                .checksumMismatch(stored: header.checksum, computed: computed),
                position: RecordBatchHeader.Position.checksum)
        }
    }

    /// The checksum that the header of these whole batch bytes ought to hold.
    static func checksum(of bytes: RawSpan) -> UInt32 {
        let covered = RecordBatchHeader.Position.attributes
        return Checksum.crc32c(bytes.part(at: covered, count: bytes.byteCount - covered))
    }
}
