import Glibc
import Synchronization
import TallyFiles
import TallyTestSupport

/// A file system that says once that a rename of a finished segment failed, done or not, and
/// fails all calls some time after that.
final class DeceivingFileSystem: FileSystem {
    private struct State {
        var isArmed = false
        var hasDeceived = false
        var callsLeft: Int
    }

    private let files: SimulatedFileSystem
    /// Whether the rename that is said to have failed was done.
    private let isPerformed: Bool
    private let state: Mutex<State>

    init(_ files: SimulatedFileSystem, isPerformed: Bool, callsLeft: Int) {
        self.files = files
        self.isPerformed = isPerformed
        state = Mutex(State(callsLeft: callsLeft))
    }

    func arm() { state.withLock { $0.isArmed = true } }
    /// Forwards everything from now on.
    func disarm() { state.withLock { $0.isArmed = false } }
    var hasDeceived: Bool { state.withLock { $0.hasDeceived } }

    private func count(_ path: String) throws(FileError) {
        let isOver = state.withLock { state in
            guard state.isArmed, state.hasDeceived else { return false }
            state.callsLeft -= 1
            return state.callsLeft < 0
        }
        if isOver { throw FileError(operation: "call", path: path, code: EIO) }
    }

    func rename(_ source: String, to destination: String) throws(FileError) {
        try count(source)
        // The deciding one is that of the first segment.
        let isDeciding = source.hasSuffix("00000000000000000000.log.cleaned")
        let isDeceiving = state.withLock { state in
            guard state.isArmed, !state.hasDeceived, isDeciding else { return false }
            state.hasDeceived = true
            return true
        }
        if !isDeceiving || isPerformed { try files.rename(source, to: destination) }
        if isDeceiving { throw FileError(operation: "rename", path: source, code: EIO) }
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        try count(path)
        return try files.open(path, mode)
    }

    func list(_ directory: String) throws(FileError) -> [String] {
        try count(directory)
        return try files.list(directory)
    }

    func information(_ path: String) throws(FileError) -> FileInformation? {
        try count(path)
        return try files.information(path)
    }

    func remove(_ path: String) throws(FileError) {
        try count(path)
        try files.remove(path)
    }

    func createDirectory(_ path: String) throws(FileError) { try files.createDirectory(path) }
    func removeDirectory(_ path: String) throws(FileError) { try files.removeDirectory(path) }

    func syncDirectory(_ path: String) throws(FileError) {
        try count(path)
        try files.syncDirectory(path)
    }

    func lock(_ path: String, contents: String) throws(FileLockError) -> any FileLock {
        try files.lock(path, contents: contents)
    }

    func copyPrefix(
        of source: String, byteCount: Int64, to destination: String
    ) throws(FileError) {
        try files.copyPrefix(of: source, byteCount: byteCount, to: destination)
    }
}
