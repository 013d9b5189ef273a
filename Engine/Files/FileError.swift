import Glibc

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

    /// The same error of a file that has been renamed since it was opened.
    func located(at path: String) -> FileError {
        FileError(operation: operation, path: path, code: code)
    }

    /// The file ends before bytes that it is known to hold.
    package static func shortened(_ path: String) -> FileError {
        FileError(operation: "read all of", path: path, code: ENODATA)
    }

    /// The file was synced, but its path does not lead to it any more.
    package static func vanished(_ path: String) -> FileError {
        FileError(operation: "sync", path: path, code: ENOENT)
    }

    /// There may be space, but it is not to be taken now.
    package static func withheldSpace(_ path: String) -> FileError {
        FileError(operation: "reserve space for", path: path, code: ENOSPC)
    }

    /// True where space or quota ran out (ENOSPC, EDQUOT): the operation may succeed later.
    public var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }

    /// True where the device failed (EIO): what it holds of the file is in doubt.
    public var isInputOutput: Bool { code == EIO }

    /// True where the file or directory does not exist (ENOENT).
    public var isAbsent: Bool { code == ENOENT }

    /// True where a sync of a file or directory failed, for whatever reason: what was to be stored
    /// is in doubt for good, and trying again would only hide it.
    public var isFailedSync: Bool { operation.hasPrefix("sync") }

    /// True where the path leads to another file than it did (ESTALE).
    package var isReplaced: Bool { code == ESTALE }

    /// True where a file is larger than what was ready for it (EFBIG).
    package var isTooLarge: Bool { code == EFBIG }

    /// True where memory or address space ran out (ENOMEM): nothing was changed.
    package var isOutOfMemory: Bool { code == ENOMEM }

    /// True where the process or the machine has no descriptor left (EMFILE, ENFILE).
    public var isTooManyOpenFiles: Bool { code == EMFILE || code == ENFILE }
}

extension FileError: CustomStringConvertible {
    /// What failed, where, why, and what to do about it where that is known.
    public var description: String {
        let reason = unsafe String(cString: strerror(code))
        let failure = "cannot \(operation) \(path): \(reason) (errno \(code))"
        guard let advice else { return failure }
        return failure + "; " + advice
    }

    /// What a person can do about this error number.
    private var advice: String? {
        switch code {
        case ENOSPC:
            "free space on that file system (nothing of the failed operation is kept)"
        case EDQUOT:
            "free space or have the disk quota of this user raised"
        case EMFILE:
            "raise the limit on open files of this process (ulimit -n)"
        case ENFILE:
            "the whole machine has too many open files (sysctl fs.file-max)"
        case EACCES, EPERM:
            "check the owner and the permissions of that path for the user of this process"
        case EROFS:
            "the file system is mounted read-only, perhaps after a disk error: see the kernel log"
        case EIO:
            "the disk could not read or write: see the kernel log (dmesg) and the disk's health"
        case ENOENT:
            "it or its directory does not exist"
        case ESTALE:
            "the file was replaced or removed by somebody else while it was in use"
        case EFBIG:
            "the file system or the limit on file sizes (ulimit -f) does not allow a file so large"
        case ENOMEM:
            "raise the limit on memory mappings (sysctl vm.max_map_count) or on address space"
        default:
            nil
        }
    }
}
