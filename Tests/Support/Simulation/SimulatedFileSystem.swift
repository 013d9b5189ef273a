import Glibc
import Synchronization
import TallyFiles

/// A file system in memory that can be made to fail, and to lose power.
///
/// It keeps what is *live*, which reads and mappings see, apart from what is *durable*, which a
/// power loss is certain to leave. A file's bytes and length become durable when it is synced;
/// that a name exists, is another's or is gone becomes durable when its directory is synced. Each
/// without the other is not enough.
///
/// Paths are absolute. Any thread; one mutex serializes all calls.
package final class SimulatedFileSystem: FileSystem {
    let state: Mutex<SimulatedState>

    /// An empty file system.
    ///
    /// - Parameter directories: Directories that exist, durably; parents before children.
    package init(directories: [String] = []) {
        state = Mutex(SimulatedState())
        for path in directories {
            do throws(FileError) {
                try createDirectory(path)
                try syncDirectory(parentDirectory(of: path))
            } catch {
                fatalError("\(error)")
            }
        }
        state.withLock { state in
            state.counts = [:]
            state.recent = []
        }
    }

    init(_ successor: SimulatedState) {
        state = Mutex(successor)
    }

    /// Runs one call under the mutex: counted, remembered, and failed where a fault is planned.
    func perform<Result: Sendable>(
        _ operation: Operation,
        _ body: (inout SimulatedState) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        try state.withLock { (state) throws(FileError) in
            if let code = try state.begin(operation)?.code {
                throw FileError(
                    operation: operation.kind.rawValue, path: operation.path, code: code)
            }
            return try body(&state)
        }
    }

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let contents = try perform(Operation(kind: .open, path: path)) {
            (state) throws(FileError) in
            if let limit = state.openFilesMax, state.openFileCount >= limit {
                throw FileError(operation: "open", path: path, code: EMFILE)
            }
            let contents = try Self.find(path, mode, &state)
            state.openFileCount += 1
            return contents
        }
        return SimulatedFile(self, path, contents, isWritable: mode != .read)
    }

    private static func find(
        _ path: String, _ mode: OpenMode, _ state: inout SimulatedState
    ) throws(FileError) -> SimulatedContents {
        switch try state.entry(path, for: "open") {
        case .directory: throw FileError(operation: "open", path: path, code: EISDIR)
        case .file(let contents):
            guard mode != .createNew else {
                throw FileError(operation: "open", path: path, code: EEXIST)
            }
            return contents
        case nil:
            guard mode == .create || mode == .createNew else {
                throw FileError(operation: "open", path: path, code: ENOENT)
            }
            let (directory, name) = try state.parent(path, for: "open")
            let contents = SimulatedContents(identity: state.newIdentity())
            contents.modificationTime = state.clock
            directory.insert(.file(contents), as: name)
            return contents
        }
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        try perform(Operation(kind: .list, path: directory)) { (state) throws(FileError) in
            let names = try state.directory(directory, for: "list").live.keys
            return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    package func information(_ path: String) throws(FileError) -> FileInformation? {
        try perform(Operation(kind: .information, path: path)) { (state) throws(FileError) in
            do throws(FileError) {
                switch try state.entry(path, for: "examine") {
                case .file(let contents): return contents.information
                case .directory(let directory):
                    return FileInformation(
                        byteCount: 0, isDirectory: true, identity: directory.identity,
                        linkCount: 1, modificationTime: .zero)
                case nil: return nil
                }
            } catch {
                if error.isAbsent { return nil }
                throw error
            }
        }
    }

    package func rename(_ source: String, to destination: String) throws(FileError) {
        let operation = Operation(kind: .rename, path: source, destination: destination)
        try perform(operation) { (state) throws(FileError) in
            guard let entry = try state.entry(source, for: "rename") else {
                throw FileError(operation: "rename", path: source, code: ENOENT)
            }
            let from = try state.parent(source, for: "rename")
            let to = try state.parent(destination, for: "rename")
            if from.directory === to.directory && from.name == to.name { return }
            switch (entry, to.directory.live[to.name]) {
            case (.file, .file(let replaced)): state.unlink(replaced)
            case (.directory, .directory(let replaced)) where !replaced.live.isEmpty:
                throw FileError(operation: "rename", path: source, code: ENOTEMPTY)
            case (.file, .directory):
                throw FileError(operation: "rename", path: source, code: EISDIR)
            case (.directory, .file):
                throw FileError(operation: "rename", path: source, code: ENOTDIR)
            case (_, nil), (.directory, .directory): break
            }
            if from.directory === to.directory {
                from.directory.rename(from.name, to: to.name)
            } else {
                // Two directories, synced each for itself: a power loss may keep either half.
                to.directory.insert(entry, as: to.name)
                from.directory.remove(from.name)
            }
        }
    }

    package func remove(_ path: String) throws(FileError) {
        try perform(Operation(kind: .remove, path: path)) { (state) throws(FileError) in
            switch try state.entry(path, for: "remove") {
            case .file(let contents):
                let (directory, name) = try state.parent(path, for: "remove")
                directory.remove(name)
                state.unlink(contents)
            case .directory: throw FileError(operation: "remove", path: path, code: EISDIR)
            case nil: throw FileError(operation: "remove", path: path, code: ENOENT)
            }
        }
    }

    package func createDirectory(_ path: String) throws(FileError) {
        try perform(Operation(kind: .createDirectory, path: path)) { (state) throws(FileError) in
            switch try state.entry(path, for: "create directory") {
            case .directory: return
            case .file: throw FileError(operation: "create directory", path: path, code: EEXIST)
            case nil:
                let (directory, name) = try state.parent(path, for: "create directory")
                let created = SimulatedDirectory(identity: state.newIdentity())
                directory.insert(.directory(created), as: name)
            }
        }
    }

    package func removeDirectory(_ path: String) throws(FileError) {
        try perform(Operation(kind: .removeDirectory, path: path)) { (state) throws(FileError) in
            let removed = try state.directory(path, for: "remove directory")
            guard removed.live.isEmpty else {
                throw FileError(operation: "remove directory", path: path, code: ENOTEMPTY)
            }
            let (directory, name) = try state.parent(path, for: "remove directory")
            directory.remove(name)
        }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        try perform(Operation(kind: .syncDirectory, path: path)) { (state) throws(FileError) in
            try state.directory(path, for: "sync directory").sync()
        }
    }

    package func lock(_ path: String, contents: String) throws(FileLockError) -> any FileLock {
        let outcome: Result<SimulatedLock, FileLockError>
        do throws(FileError) {
            outcome = try perform(Operation(kind: .lock, path: path)) {
                (state) throws(FileError) in
                let file = try Self.find(path, .create, &state)
                guard state.locks[file.identity] == nil else {
                    return .failure(.held(by: String(decoding: file.live, as: UTF8.self)))
                }
                state.truncate(file, to: 0)
                let bytes = Array(contents.utf8)
                file.write(Array(bytes.prefix(state.allocate(file, upTo: bytes.count))), at: 0)
                let lock = SimulatedLock(self, file)
                state.locks[file.identity] = ObjectIdentifier(lock)
                return .success(lock)
            }
        } catch {
            throw .failed(error)
        }
        return try outcome.get()
    }
}
