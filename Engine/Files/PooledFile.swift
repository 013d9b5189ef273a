import Glibc
import Synchronization

/// A file of a `DescriptorPool`: it has a descriptor only while it is used, and for as long after
/// as the pool has room.
///
/// It knows whether it has writes that were not synced. The kernel reports a failed write-back
/// once, to who has the file open then; so a file with unsynced writes is synced before its
/// descriptor is closed, and a failed sync is kept: **after one failed sync every later write and
/// sync throws that error**, and none is tried again. Opening the file anew, and reading what it
/// really holds, is the way out.
///
/// Any thread. Reads, writes and syncs may run at the same time; syncs wait for each other.
package final class PooledFile: Sendable {
    private let pool: DescriptorPool
    private let state: Mutex<State>
    /// Held during a sync, so that the error which the kernel reports to one caller only is kept
    /// before another may take the silence for success.
    private let syncing = Mutex(())
    let usage = UsageMark()
    /// Closed without a sync where the pool needs room.
    private let isExpendable: Bool

    init(_ path: String, _ mode: OpenMode, isExpendable: Bool, pool: DescriptorPool) {
        self.pool = pool
        self.isExpendable = isExpendable
        state = Mutex(State(path: path, mode: mode))
    }

    deinit {
        state.withLock { state in
            if let open = state.open { pool.giveBack(open.slot) }
        }
    }

    /// What is known about the file, under its lock.
    private struct State {
        var path: String
        var mode: OpenMode
        var open: (file: any File, slot: Int)?
        /// Which file it was when first opened; the path must not lead to another one later.
        var identity: FileIdentity?
        /// How many operations run on the open file right now.
        var userCount = 0
        /// Counted up before and after each write, so that a sync which began in between does not
        /// take the write for stored.
        var writeGeneration: UInt64 = 0
        /// All writes up to this generation are stored.
        var syncedGeneration: UInt64 = 0
        var syncFailure: FileError?
        var isClosed = false
        /// When the path was last seen to lead to the file.
        var placeSeenAt: ContinuousClock.Instant?

        var isDirty: Bool { writeGeneration != syncedGeneration }
    }

    /// Where the file is.
    package var path: String { state.withLock { $0.path } }

    /// True while it has a descriptor.
    package var isOpen: Bool { state.withLock { $0.open != nil } }

    /// True where something was written and not synced since.
    package var isDirty: Bool { state.withLock { $0.isDirty } }

    /// The error of the sync that failed, which every later write and sync throws.
    package var syncFailure: FileError? { state.withLock { $0.syncFailure } }

    /// Runs a closure on the open file, opening it where needed; its descriptor stays open for as
    /// long as the closure runs.
    ///
    /// For operations that change nothing: what is written in here is not known to be unsynced.
    /// The file must not be kept beyond the closure (a mapping of it may).
    package func withFile<Result: ~Copyable>(
        _ body: (any File) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        try use(writing: false, body)
    }

    /// Waits until all writes that finished before the call are on stable storage. Where nothing
    /// was written since the last sync it returns at once, without opening the file.
    package func sync() throws(FileError) {
        try syncing.withLock { (_) throws(FileError) in
            // Looked at and kept open in one step: were the file closed in between, its failed
            // sync would stay unseen, and a sync of the file opened anew would succeed.
            let pinned = try state.withLock {
                (state) throws(FileError) -> (file: any File, generation: UInt64)? in
                if let failure = state.syncFailure { throw failure }
                if !state.isDirty { return nil }
                return (try pin(&state), state.writeGeneration)
            }
            guard let pinned else { return }
            defer { state.withLock { $0.userCount -= 1 } }
            do throws(FileError) {
                try pinned.file.sync()
            } catch {
                throw state.withLock { state in
                    let failure = error.located(at: state.path)
                    state.syncFailure = failure
                    return failure
                }
            }
            state.withLock { $0.syncedGeneration = max($0.syncedGeneration, pinned.generation) }
        }
    }

    /// Opens the file now, and creates it where its mode says so.
    package func open() throws(FileError) {
        try use(writing: false) { (_) throws(FileError) in }
    }

    /// How long a file that has one name is believed to have it where it was: see ``isInPlace()``.
    static let placeBelievedFor = Duration.seconds(1)

    /// Whether the path still leads to this file: false once somebody has removed or replaced it,
    /// and a second later at most where the file, or a directory above it, has got another name
    /// instead of that one.
    ///
    /// The open file says how many names it has, for a quarter of what it costs to follow the path,
    /// and appends wait for the answer: one name, and the path led here a moment ago, will do.
    package func isInPlace() throws(FileError) -> Bool {
        try state.withLock { (state) throws(FileError) in
            let now = ContinuousClock.now
            if let open = state.open?.file, let seen = state.placeSeenAt,
                now - seen < Self.placeBelievedFor
            {
                if try open.information().linkCount == 1 { return true }
            }
            state.placeSeenAt = nil
            guard let found = try pool.fileSystem.information(state.path) else { return false }
            guard state.identity == nil || state.identity == found.identity else { return false }
            // Of several names one may go, and a single one be left that is not the path.
            if found.linkCount == 1 { state.placeSeenAt = now }
            return true
        }
    }

    /// Renames the file, open or not. Later errors and openings use the new path.
    package func rename(to destination: String) throws(FileError) {
        try state.withLock { (state) throws(FileError) in
            try pool.fileSystem.rename(state.path, to: destination)
            state.path = destination
            state.placeSeenAt = nil
        }
    }

    /// Puts a new file with these contents in this one's place, as `FileSystem.replace` does, and
    /// goes on with that one: descriptor, unsynced writes and a failed sync of the old file are
    /// forgotten, also where replacing failed. For files that are no evidence, such as indexes.
    ///
    /// Operations that are running finish on the old file. Throws EBADF on a closed file.
    package func replaceContents(with bytes: [UInt8]) throws(FileError) {
        try syncing.withLock { (_) throws(FileError) in
            try state.withLock { (state) throws(FileError) in
                guard !state.isClosed else {
                    throw FileError(
                        operation: "replace the closed file", path: state.path, code: EBADF)
                }
                defer {
                    closeDescriptor(&state)
                    state.mode = state.mode == .read ? .read : .create
                    state.identity = nil
                    state.placeSeenAt = nil
                    state.syncFailure = nil
                    state.syncedGeneration = state.writeGeneration
                }
                try pool.fileSystem.replace(state.path, with: bytes)
            }
        }
    }

    /// Gives the descriptor up for good; later operations throw EBADF. Operations that are
    /// running finish. Closing twice is fine.
    ///
    /// It syncs nothing. To close a file with unsynced writes is a programmer error, except after
    /// a failed sync: sync first, or say `abandon()`.
    package func close() {
        state.withLock { state in
            invariant(
                !state.isDirty || state.syncFailure != nil || state.isClosed,
                "\(state.path) was closed with unsynced writes: an error of theirs would be lost")
            shut(&state)
        }
    }

    /// Closes the file whatever was not synced: for files that are deleted, or whose contents are
    /// no longer trusted. Later operations throw EBADF.
    package func abandon() {
        state.withLock { shut(&$0) }
    }

    private func shut(_ state: inout State) {
        state.isClosed = true
        closeDescriptor(&state)
    }
}

extension PooledFile {
    /// Runs a closure on the open file and keeps it from being closed meanwhile.
    func use<Result: ~Copyable>(
        writing: Bool, _ body: (any File) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let file = try state.withLock { (state) throws(FileError) -> any File in
            if writing {
                if let failure = state.syncFailure { throw failure }
            }
            let file = try pin(&state)
            // Before the write, not after: it may reach the file even where it reports an error.
            if writing { state.writeGeneration += 1 }
            return file
        }
        defer {
            state.withLock { state in
                state.userCount -= 1
                if writing { state.writeGeneration += 1 }
            }
            usage.note()
        }
        do throws(FileError) {
            return try body(file)
        } catch {
            throw error.located(at: path)
        }
    }

    /// The open file, opened where needed, which is not closed until the count goes down again.
    private func pin(_ state: inout State) throws(FileError) -> any File {
        let file = try openFile(&state)
        state.userCount += 1
        return file
    }

    private func openFile(_ state: inout State) throws(FileError) -> any File {
        if let open = state.open { return open.file }
        guard !state.isClosed else {
            throw FileError(operation: "use the closed file", path: state.path, code: EBADF)
        }
        let opened = try pool.open(state.path, state.mode, for: self)
        // A file that has vanished must not come back empty.
        if state.mode != .read { state.mode = .write }
        do throws(FileError) {
            let identity = try opened.file.information().identity
            // Appending to somebody else's file would damage both.
            guard state.identity == nil || state.identity == identity else {
                throw FileError(operation: "reopen", path: state.path, code: ESTALE)
            }
            state.identity = identity
        } catch {
            pool.giveBack(opened.slot)
            throw error
        }
        state.open = opened
        return opened.file
    }

    /// Closes the descriptor unless the file is in use, syncing before where needed; whether it
    /// did. Who wants the file meanwhile waits. A failed sync is kept for later operations.
    func closeIfIdle() -> Bool {
        let closed = state.withLockIfAvailable { state -> Bool in
            guard state.open != nil, state.userCount == 0 else { return false }
            if state.isDirty && state.syncFailure == nil && !isExpendable {
                do throws(FileError) {
                    try state.open?.file.sync()
                    state.syncedGeneration = state.writeGeneration
                } catch {
                    state.syncFailure = error.located(at: state.path)
                }
            }
            closeDescriptor(&state)
            return true
        }
        return closed ?? false
    }

    /// The descriptor goes first, the slot after it, so that the bound holds in between.
    private func closeDescriptor(_ state: inout State) {
        guard let slot = state.open?.slot else { return }
        state.open = nil
        pool.giveBack(slot)
    }
}
