/// An exclusive lock on a file, held until `release()` or until the last reference goes away.
package protocol FileLock: AnyObject, Sendable {
    /// Gives the lock up; further calls do nothing. The file stays, emptied. Any thread.
    func release()
}

/// Why a lock was not taken.
package enum FileLockError: Error, Hashable, Sendable {
    /// Somebody else holds it. The text says who: the process id that the kernel names where it
    /// names one, else what the holder wrote into the file (empty where it wrote nothing).
    case held(by: String)
    /// The lock file could not be opened, locked or written.
    case failed(FileError)
}
