/// Where bytes come from, piece by piece.
package protocol ByteSource {
    /// Reads what is there next into `buffer`, from index `start` to at most its end.
    ///
    /// - Precondition: `start < buffer.count`.
    /// - Returns: how many bytes were read: at least one, or 0 when there are no more.
    mutating func read(into buffer: inout [UInt8], from start: Int) throws -> Int
}
