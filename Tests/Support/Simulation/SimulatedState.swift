import Glibc
import TallyFiles

/// All that a simulated file system knows, guarded by its mutex.
struct SimulatedState: Sendable {
    var root = SimulatedDirectory(identity: FileIdentity(device: 1, inode: 1))
    var nextInode: UInt64 = 1
    /// Who holds the lock on which file.
    var locks: [FileIdentity: ObjectIdentifier] = [:]
    /// How much may be allocated in files; nil for no limit.
    var capacityBytes: Int?
    var usedBytes = 0
    /// How many files may be open at once; nil for no limit.
    var openFilesMax: Int?
    var openFileCount = 0
    var supportsReserving = true
    var clock: Duration = .seconds(1_700_000_000)
    /// Crashed: a successor has taken over.
    var isGone = false

    var faults: [Fault] = []
    var faultsHit = 0
    var counts: [OperationKind: Int] = [:]
    var recent: [Operation] = []

    /// How many operations are kept for messages.
    static let recentMax = 64

    /// Counts a call, and gives what a planned fault does to it.
    mutating func begin(_ operation: Operation) throws(FileError) -> FaultEffect? {
        if isGone {
            // Not one of the errors that engines treat kindly.
            throw FileError(operation: operation.kind.rawValue, path: operation.path, code: ESTALE)
        }
        counts[operation.kind, default: 0] += 1
        clock += .milliseconds(1)
        var effect: FaultEffect?
        for index in faults.indices.reversed() where faults[index].counts(operation) {
            if faults[index].callsBefore > 0 {
                faults[index].callsBefore -= 1
                continue
            }
            effect = faults[index].effect
            if !faults[index].repeats { faults.remove(at: index) }
        }
        if effect != nil { faultsHit += 1 }
        var noted = operation
        noted.fault = effect
        recent.append(noted)
        if recent.count > 2 * Self.recentMax { recent.removeFirst(Self.recentMax) }
        return effect
    }

    /// What a path stands for; nil where its last name does not exist.
    func entry(_ path: String, for operation: String) throws(FileError)
        -> SimulatedDirectory.Entry?
    {
        var entry = SimulatedDirectory.Entry.directory(root)
        let names = Self.names(path)
        for (index, name) in names.enumerated() {
            guard case .directory(let directory) = entry else {
                throw FileError(operation: operation, path: path, code: ENOTDIR)
            }
            guard let next = directory.live[name] else {
                if index == names.count - 1 { return nil }
                throw FileError(operation: operation, path: path, code: ENOENT)
            }
            entry = next
        }
        return entry
    }

    /// The directory that a path stands for.
    func directory(_ path: String, for operation: String) throws(FileError) -> SimulatedDirectory {
        switch try entry(path, for: operation) {
        case .directory(let directory): return directory
        case .file: throw FileError(operation: operation, path: path, code: ENOTDIR)
        case nil: throw FileError(operation: operation, path: path, code: ENOENT)
        }
    }

    /// The directory that holds a path's last name, and that name.
    func parent(_ path: String, for operation: String) throws(FileError)
        -> (directory: SimulatedDirectory, name: String)
    {
        guard let name = Self.names(path).last else {
            throw FileError(operation: operation, path: path, code: EBUSY)
        }
        return (try directory(parentDirectory(of: path), for: operation), name)
    }

    private static func names(_ path: String) -> [String] {
        path.split(separator: "/").map(String.init).filter { $0 != "." }
    }

    mutating func newIdentity() -> FileIdentity {
        nextInode += 1
        return FileIdentity(device: 1, inode: nextInode)
    }

    /// Takes space for a file up to `end`, as far as there is any.
    ///
    /// - Returns: Up to where the file has space now.
    mutating func allocate(_ contents: SimulatedContents, upTo end: Int) -> Int {
        var granted = max(0, end - contents.allocatedByteCount)
        if contents.isLinked {
            if let capacityBytes { granted = min(granted, max(0, capacityBytes - usedBytes)) }
            usedBytes += granted
        }
        contents.allocatedByteCount += granted
        return contents.allocatedByteCount
    }

    /// Makes a file shorter or longer; space beyond its end, reserved or not, is free again.
    mutating func truncate(_ contents: SimulatedContents, to byteCount: Int) {
        if contents.isLinked { usedBytes += byteCount - contents.allocatedByteCount }
        contents.truncate(to: byteCount)
        contents.modificationTime = clock
    }

    /// A name of the file is gone; its space is free again.
    mutating func unlink(_ contents: SimulatedContents) {
        contents.isLinked = false
        usedBytes -= contents.allocatedByteCount
    }
}
