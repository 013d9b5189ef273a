/// The file system as the engine sees it: the seam that tests replace.
///
/// Paths are UTF-8 and absolute, or relative to the working directory. Every operation may be
/// called from any thread, blocks until the kernel is done, and restarts when a signal interrupts
/// it.
package protocol FileSystem: Sendable {
    /// Opens a regular file; its descriptor is not inherited by child processes.
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File

    /// The names in a directory, without `.` and `..`, sorted by their UTF-8 bytes.
    func list(_ directory: String) throws(FileError) -> [String]

    /// What is known about a file or directory; nil where there is none.
    func information(_ path: String) throws(FileError) -> FileInformation?

    /// Gives a file another name, replacing a file that has it. Readers see the one or the other;
    /// which of them survives a crash is settled by syncing the directory.
    func rename(_ source: String, to destination: String) throws(FileError)

    /// Removes a file. Who has it open or mapped keeps it.
    func remove(_ path: String) throws(FileError)

    /// Creates one level of directory. One that exists already is fine.
    func createDirectory(_ path: String) throws(FileError)

    /// Removes an empty directory.
    func removeDirectory(_ path: String) throws(FileError)

    /// Makes the creations, renames and removals in a directory survive a crash.
    func syncDirectory(_ path: String) throws(FileError)

    /// Takes the exclusive lock on a file (created where absent) and writes `contents` into it.
    ///
    /// The lock keeps out every other holder, in this process and in others. It does not wait.
    /// No space for the contents is no reason to fail: they only tell others whom to ask.
    func lock(_ path: String, contents: String) throws(FileLockError) -> any FileLock

    /// Copies the first bytes of a file into a new or emptied file and syncs that file. The caller
    /// syncs the directory. After a failure the destination is gone.
    ///
    /// - Parameter byteCount: How much to copy; ENODATA is thrown where the source is shorter.
    func copyPrefix(
        of source: String, byteCount: Int64, to destination: String
    ) throws(FileError)
}

extension FileSystem {
    /// Lets somebody else who is at work on the same files go on, for some milliseconds.
    package func pause(milliseconds: UInt32) { Platform.sleep(milliseconds: milliseconds) }
}

/// How a file is opened.
package enum OpenMode: Hashable, Sendable {
    /// An existing file, for reading.
    case read
    /// An existing file, for reading and writing.
    case write
    /// For reading and writing; created empty where absent.
    case create
    /// For reading and writing; created, and EEXIST is thrown where it exists.
    case createNew
}

/// What the file system knows about a file or directory.
package struct FileInformation: Hashable, Sendable {
    /// The length in bytes (of a directory: whatever the file system says).
    package var byteCount: Int64
    /// True for a directory.
    package var isDirectory: Bool
    /// Which file it is, whatever its name.
    package var identity: FileIdentity
    /// How many names it has; 0 for a file that was removed and is only open still.
    package var linkCount: Int
    /// When its contents last changed, since 1970-01-01 UTC.
    package var modificationTime: Duration

    package init(
        byteCount: Int64, isDirectory: Bool, identity: FileIdentity, linkCount: Int,
        modificationTime: Duration
    ) {
        self.byteCount = byteCount
        self.isDirectory = isDirectory
        self.identity = identity
        self.linkCount = linkCount
        self.modificationTime = modificationTime
    }
}

/// Tells files apart independently of their names. A number may be used again once its file is
/// removed and nobody has it open.
package struct FileIdentity: Hashable, Sendable {
    /// The file system it is on.
    package var device: UInt64
    /// Its number there.
    package var inode: UInt64

    package init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// The directory that holds `path`: "/a/b" gives "/a", "b" gives ".", "/a" gives "/".
package func parentDirectory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
