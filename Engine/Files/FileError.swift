/// A system call that failed: what was tried, on which path, and the kernel's reason.
///
/// An operating error: the data already in the log is not in doubt because of it.
public struct FileError: Error, Hashable, Sendable {
    /// What was tried, as a verb: "open", "write", "sync".
    public var operation: String
    /// The file or directory it was tried on.
    public var path: String
    /// The kernel's error number (`errno`).
    public var code: Int32

    /// An error of one operation on one path.
    public init(operation: String, path: String, code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }
}
