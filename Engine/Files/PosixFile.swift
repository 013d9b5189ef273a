import Glibc

/// A file of the operating system. Any thread: it holds nothing but a descriptor.
final class PosixFile: File {
    let path: String
    let descriptor: Int32

    /// Opens a file; the descriptor is closed with the object.
    init(_ path: String, _ mode: OpenMode) throws(FileError) {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY
            case .write: O_RDWR
            case .create: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        descriptor = try systemCall("open", path) {
            unsafe Glibc.open(path, flags | O_CLOEXEC, 0o644)
        }
        self.path = path
    }

    deinit {
        // An error of close is not looked at: what must not be lost was synced before.
        close(descriptor)
    }

    func information() throws(FileError) -> FileInformation {
        var status = stat()
        _ = try systemCall("examine", path) { unsafe fstat(descriptor, &status) }
        return FileInformation(status)
    }

    func readSome(
        into buffer: inout MutableRawSpan, at position: Int64
    ) throws(FileError) -> Int {
        try unsafe buffer.withUnsafeMutableBytes { (bytes) throws(FileError) -> Int in
            guard let start = bytes.baseAddress else { return 0 }
            return try systemCall("read", path) {
                unsafe pread(descriptor, start, bytes.count, off_t(position))
            }
        }
    }

    func writeSome(_ bytes: RawSpan, at position: Int64) throws(FileError) -> Int {
        try unsafe bytes.withUnsafeBytes { (bytes) throws(FileError) -> Int in
            guard let start = bytes.baseAddress else { return 0 }
            return try systemCall("write", path) {
                unsafe pwrite(descriptor, start, bytes.count, off_t(position))
            }
        }
    }

    func duplicate() throws(FileError) -> Int32? {
        try systemCall("duplicate", path) { fcntl(descriptor, F_DUPFD_CLOEXEC, 0) }
    }

    func sync() throws(FileError) {
        _ = try systemCall("sync", path) { Platform.syncData(descriptor) }
    }

    func truncate(to byteCount: Int64) throws(FileError) {
        _ = try systemCall("truncate", path) { ftruncate(descriptor, off_t(byteCount)) }
    }

    func reserve(_ range: Range<Int64>) throws(FileError) -> Bool {
        if range.isEmpty { return true }
        do {
            _ = try systemCall("reserve space for", path) {
                Platform.reserve(descriptor, range.lowerBound, range.upperBound - range.lowerBound)
            }
            return true
        } catch {
            guard error.code == EOPNOTSUPP || error.code == ENOSYS else { throw error }
            return false
        }
    }

    func map(byteCount: Int) throws(FileError) -> FileMapping {
        let region = try PosixRegion(self, byteCount: byteCount)
        return unsafe FileMapping(start: region.start, byteCount: byteCount, region: region)
    }
}
