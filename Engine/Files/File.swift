import Glibc

/// An open regular file. Its descriptor is closed when the last reference goes away.
///
/// Every operation may be called from any thread, and at the same time as others; each is one
/// system call, restarted when a signal interrupts it. Positions count bytes from the start.
package protocol File: AnyObject, Sendable {
    /// The path it was opened with.
    var path: String { get }

    /// What the file system knows about the open file, whatever its name is by now.
    func information() throws(FileError) -> FileInformation

    /// Reads what one call gives, at most the whole buffer; 0 only at the end of the file or for
    /// an empty buffer.
    func readSome(into buffer: inout MutableRawSpan, at position: Int64) throws(FileError) -> Int

    /// Writes what one call takes, which may be less than all; the number of bytes written.
    func writeSome(_ bytes: RawSpan, at position: Int64) throws(FileError) -> Int

    /// Waits until all that was written before the call, and the length of the file, are on
    /// stable storage. After a failure what was written is in doubt for good: syncing again would
    /// succeed without having stored it.
    func sync() throws(FileError)

    /// Makes the file shorter, or longer with zeros. Never for a file that somebody has mapped.
    func truncate(to byteCount: Int64) throws(FileError)

    /// Reserves space for a range of positions without changing the file's length.
    ///
    /// - Returns: false where the file system cannot; no space is thrown.
    func reserve(_ range: Range<Int64>) throws(FileError) -> Bool

    /// Maps the first bytes of the file for reading; later writes show through the mapping. May
    /// exceed the end of the file, but what lies beyond the end must not be touched.
    ///
    /// - Parameter byteCount: At least 1.
    func map(byteCount: Int) throws(FileError) -> FileMapping

    /// Another descriptor of the open file, for the system to send bytes from; the caller closes
    /// it. Nil where the file is none of the system's.
    func duplicate() throws(FileError) -> Int32?
}

extension File {
    /// Files that are none of the system's have no descriptor.
    package func duplicate() throws(FileError) -> Int32? { nil }

    /// The length of the file in bytes.
    package func byteCount() throws(FileError) -> Int64 {
        try information().byteCount
    }

    /// Writes all the bytes, in as many calls as it takes. When it throws, any part may have been
    /// written.
    package func write(all bytes: RawSpan, at position: Int64) throws(FileError) {
        var written = 0
        while written < bytes.byteCount {
            let rest = bytes.extracting(written..<bytes.byteCount)
            let count = try writeSome(rest, at: position + Int64(written))
            // No progress without a reason would be an endless loop.
            guard count > 0 else {
                throw FileError(operation: "write", path: path, code: EIO)
            }
            written += count
        }
    }

    /// Writes all the bytes of an array; see `write(all:at:)`.
    package func write(all bytes: [UInt8], at position: Int64) throws(FileError) {
        try write(all: unsafe bytes.span.bytes, at: position)
    }

    /// Fills the buffer, in as many calls as it takes.
    ///
    /// - Returns: The number of bytes read, less than the buffer only where the file ends.
    package func read(
        exactly buffer: inout MutableRawSpan, at position: Int64
    ) throws(FileError) -> Int {
        var count = 0
        while count < buffer.byteCount {
            var rest = buffer._mutatingExtracting(count..<buffer.byteCount)
            let step = try readSome(into: &rest, at: position + Int64(count))
            if step == 0 { break }
            count += step
        }
        return count
    }

    /// Reads up to `byteCount` bytes into an array, which is shorter only where the file ends.
    package func read(byteCount: Int, at position: Int64) throws(FileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        let count = try read(byteCount: byteCount, into: &bytes, at: position)
        bytes.removeLast(byteCount - count)
        return bytes
    }

    /// Reads up to `byteCount` bytes over the first ones of an array that holds as many.
    ///
    /// - Returns: The number of bytes read, less than `byteCount` only where the file ends.
    package func read(
        byteCount: Int, into bytes: inout [UInt8], at position: Int64
    ) throws(FileError) -> Int {
        invariant(byteCount <= bytes.count, "\(byteCount) bytes do not fit \(bytes.count)")
        var span = bytes.mutableSpan
        var whole = unsafe span.mutableBytes
        var buffer = whole._mutatingExtracting(first: byteCount)
        return try read(exactly: &buffer, at: position)
    }
}
