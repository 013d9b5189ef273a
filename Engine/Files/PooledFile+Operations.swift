/// The operations of a `File`, on a file that is opened where needed. Any thread.
///
/// What writes counts the file as unsynced before it writes, and throws the error of a failed
/// sync, should there have been one.
extension PooledFile {
    /// Writes what one call takes; see `File.writeSome`.
    package func writeSome(_ bytes: RawSpan, at position: Int64) throws(FileError) -> Int {
        try use(writing: true) { (file) throws(FileError) in
            try file.writeSome(bytes, at: position)
        }
    }

    /// Writes all the bytes; see `File.write(all:at:)`.
    package func write(all bytes: RawSpan, at position: Int64) throws(FileError) {
        try use(writing: true) { (file) throws(FileError) in
            try file.write(all: bytes, at: position)
        }
    }

    /// Writes all the bytes of an array; see `File.write(all:at:)`.
    package func write(all bytes: [UInt8], at position: Int64) throws(FileError) {
        try write(all: unsafe bytes.span.bytes, at: position)
    }

    /// Changes the length; see `File.truncate(to:)`.
    package func truncate(to byteCount: Int64) throws(FileError) {
        try use(writing: true) { (file) throws(FileError) in
            try file.truncate(to: byteCount)
        }
    }

    /// Another descriptor, which no pool counts; see `File.duplicate`.
    package func duplicate() throws(FileError) -> Int32? {
        try use(writing: false) { (file) throws(FileError) in try file.duplicate() }
    }

    /// Reserves space; see `File.reserve`.
    package func reserve(_ range: Range<Int64>) throws(FileError) -> Bool {
        try use(writing: false) { (file) throws(FileError) in try file.reserve(range) }
    }

    /// The length in bytes.
    package func byteCount() throws(FileError) -> Int64 {
        try use(writing: false) { (file) throws(FileError) in try file.byteCount() }
    }

    /// Reads what one call gives; see `File.readSome`.
    package func readSome(
        into buffer: inout MutableRawSpan, at position: Int64
    ) throws(FileError) -> Int {
        try use(writing: false) { (file) throws(FileError) in
            try file.readSome(into: &buffer, at: position)
        }
    }

    /// Fills the buffer as far as the file goes; see `File.read(exactly:at:)`.
    package func read(
        exactly buffer: inout MutableRawSpan, at position: Int64
    ) throws(FileError) -> Int {
        try use(writing: false) { (file) throws(FileError) in
            try file.read(exactly: &buffer, at: position)
        }
    }

    /// Reads up to `byteCount` bytes; see `File.read(byteCount:at:)`.
    package func read(byteCount: Int, at position: Int64) throws(FileError) -> [UInt8] {
        try use(writing: false) { (file) throws(FileError) in
            try file.read(byteCount: byteCount, at: position)
        }
    }

    /// Reads over the first bytes of an array; see `File.read(byteCount:into:at:)`.
    package func read(
        byteCount: Int, into bytes: inout [UInt8], at position: Int64
    ) throws(FileError) -> Int {
        try use(writing: false) { (file) throws(FileError) in
            try file.read(byteCount: byteCount, into: &bytes, at: position)
        }
    }

    /// Maps the file; the mapping does not need the descriptor. See `File.map`.
    package func map(byteCount: Int) throws(FileError) -> FileMapping {
        try use(writing: false) { (file) throws(FileError) in try file.map(byteCount: byteCount) }
    }
}
