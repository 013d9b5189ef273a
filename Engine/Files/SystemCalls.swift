import Glibc

/// Makes a system call, again where a signal interrupted it, and turns -1 into an error.
///
/// - Parameters:
///   - operation: What is tried, as a verb, for the error.
///   - path: What it is tried on, for the error.
///   - body: The call; it sets `errno` and returns -1 when it fails.
@inline(__always)
func systemCall<Value: SignedInteger>(
    _ operation: String, _ path: String, _ body: () -> Value
) throws(FileError) -> Value {
    while true {
        let value = body()
        if value >= 0 { return value }
        let code = errno
        if code != EINTR { throw FileError(operation: operation, path: path, code: code) }
    }
}

extension FileInformation {
    /// The kernel's answer in our words.
    init(_ status: stat) {
        self.init(
            byteCount: Int64(status.st_size),
            isDirectory: status.st_mode & S_IFMT == S_IFDIR,
            identity: FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)),
            linkCount: Int(clamping: status.st_nlink),
            modificationTime: Platform.modificationTime(status))
    }
}
