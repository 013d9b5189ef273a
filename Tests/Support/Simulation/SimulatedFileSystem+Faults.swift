import TallyFiles

extension SimulatedFileSystem {
    /// Plans a fault. Several may be planned; each counts its calls by itself.
    package func plan(_ fault: Fault) {
        state.withLock { $0.faults.append(fault) }
    }

    /// Makes the next call of a kind (nil: of any kind) fail.
    package func failNext(_ kind: OperationKind? = nil, code: Int32) {
        plan(Fault(.error(code), on: kind))
    }

    /// Forgets the planned faults.
    package func clearFaults() {
        state.withLock { $0.faults = [] }
    }

    /// How many calls were hit by planned faults. A loop over "fail call N" ends with the first
    /// run in which this stays 0.
    package var faultsHit: Int {
        state.withLock { $0.faultsHit }
    }

    /// How many calls of a kind there were, failed ones included.
    package func count(_ kind: OperationKind) -> Int {
        state.withLock { $0.counts[kind, default: 0] }
    }

    /// How many calls there were, failed ones included.
    package var callCount: Int {
        state.withLock { $0.counts.values.reduce(0, +) }
    }

    /// The latest calls, one a line, for messages of failed tests.
    package var recentOperations: String {
        state.withLock { state in
            state.recent.suffix(SimulatedState.recentMax)
                .map(\.description).joined(separator: "\n")
        }
    }

    /// How many bytes files may take, reservations included; nil for no limit. May be changed at
    /// any time: writes and reservations that exceed it get ENOSPC.
    package var capacityBytes: Int? {
        get { state.withLock { $0.capacityBytes } }
        set { state.withLock { $0.capacityBytes = newValue } }
    }

    /// How many bytes files take, reservations included.
    package var usedBytes: Int {
        state.withLock { $0.usedBytes }
    }

    /// How many files may be open at once before EMFILE; nil for no limit.
    package var openFilesMax: Int? {
        get { state.withLock { $0.openFilesMax } }
        set { state.withLock { $0.openFilesMax = newValue } }
    }

    /// How many files are open.
    package var openFileCount: Int {
        state.withLock { $0.openFileCount }
    }

    /// Whether `File.reserve` works or answers that it is not supported.
    package var supportsReserving: Bool {
        get { state.withLock { $0.supportsReserving } }
        set { state.withLock { $0.supportsReserving = newValue } }
    }

    /// The time that changed files get, since 1970. Every call moves it on by a millisecond.
    package var clock: Duration {
        get { state.withLock { $0.clock } }
        set { state.withLock { $0.clock = newValue } }
    }
}
