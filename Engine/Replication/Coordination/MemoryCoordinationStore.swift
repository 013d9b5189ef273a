import Synchronization

/// A ``CoordinationLedger`` behind a lock: a store for tests, and for clusters within one process.
/// It forgets everything with the process.
///
/// It has no clock of its own: leases end when ``expire()`` is called, and at each other call.
/// Whoever makes the store calls it now and then, or watchers hear late of a lease that has ended.
/// Thread rule: any task. No call waits.
public final class MemoryCoordinationStore: CoordinationStore {
    private struct State {
        var ledger: CoordinationLedger
        var outage: String?
        var isClosed = false
    }

    private let state: Mutex<State>
    private let signal = ChangeSignal()
    private let now: @Sendable () -> CoordinationInstant

    /// A store over a ledger, by the clock `now`.
    public init(
        ledger: CoordinationLedger = CoordinationLedger(),
        now: @escaping @Sendable () -> CoordinationInstant
    ) {
        state = Mutex(State(ledger: ledger))
        self.now = now
    }

    /// Ends the leases whose time has come.
    public func expire() {
        let ended = state.withLock { $0.ledger.expire(now: now()) }
        if !ended.isEmpty { signal.notify() }
    }

    /// With a reason, every call but `expire` throws `unavailable` with it, and watches are
    /// silent; with nil all works again, and watches go on where they were.
    public func setOutage(_ reason: String?) {
        state.withLock { $0.outage = reason }
        signal.notify()
    }

    /// Forgets the history up to and with `revision`.
    public func compact(through revision: CoordinationRevision) {
        state.withLock { $0.ledger.compact(through: revision) }
    }

    /// Ends all watches; later calls throw `unavailable`.
    public func close() {
        state.withLock { $0.isClosed = true }
        signal.close()
    }

    /// What it holds now.
    public var ledger: CoordinationLedger { state.withLock { $0.ledger } }

    /// As the protocol says.
    public func grantLease(
        seconds: Int64
    ) async throws(CoordinationError) -> CoordinationLease {
        try perform { ledger, now throws(CoordinationError) in
            try ledger.grant(seconds: seconds, now: now)
        }
    }

    /// As the protocol says.
    public func keepAlive(_ lease: LeaseID) async throws(CoordinationError) -> CoordinationLease {
        try perform { ledger, now throws(CoordinationError) in
            try ledger.keepAlive(lease, now: now)
        }
    }

    /// As the protocol says.
    public func revoke(_ lease: LeaseID) async throws(CoordinationError) {
        try perform { ledger, _ throws(CoordinationError) in _ = try ledger.revoke(lease) }
    }

    /// As the protocol says.
    public func read(prefix: String) async throws(CoordinationError) -> CoordinationSnapshot {
        try perform { ledger, _ throws(CoordinationError) in try ledger.read(prefix: prefix) }
    }

    /// As the protocol says.
    public func commit(
        _ transaction: CoordinationTransaction
    ) async throws(CoordinationError) -> CoordinationOutcome {
        try perform { ledger, _ throws(CoordinationError) in try ledger.commit(transaction) }
    }

    /// As the protocol says.
    public func watch(prefix: String, after revision: CoordinationRevision) -> CoordinationWatch {
        CoordinationWatch { Source(store: self, prefix: prefix, after: revision) }
    }

    /// Ends leases that are due, does it, and wakes the watchers.
    private func perform<Value: Sendable>(
        _ body: (inout CoordinationLedger, CoordinationInstant) throws(CoordinationError) -> Value
    ) throws(CoordinationError) -> Value {
        let (result, isChanged) = state.withLock { state in
            let before = state.ledger.revision
            let now = now()
            state.ledger.expire(now: now)
            let result = Result { () throws(CoordinationError) in
                if state.isClosed { throw .unavailable(reason: "it was closed") }
                if let outage = state.outage { throw .unavailable(reason: outage) }
                return try body(&state.ledger, now)
            }
            return (result, state.ledger.revision != before)
        }
        if isChanged { signal.notify() }
        return try result.get()
    }

    /// The changes there are now, or nil during an outage.
    private func changes(
        prefix: String, after: CoordinationRevision
    ) throws(CoordinationError) -> CoordinationChanges? {
        let result = state.withLock { state in
            Result { () throws(CoordinationError) -> CoordinationChanges? in
                if state.isClosed { throw .unavailable(reason: "it was closed") }
                guard state.outage == nil else { return nil }
                return try state.ledger.changes(prefix: prefix, after: after)
            }
        }
        return try result.get()
    }

    private final class Source: CoordinationWatchSource {
        private let store: MemoryCoordinationStore
        private let prefix: String
        private let position: Mutex<CoordinationRevision>

        init(store: MemoryCoordinationStore, prefix: String, after: CoordinationRevision) {
            self.store = store
            self.prefix = prefix
            position = Mutex(after)
        }

        func next() async throws(CoordinationError) -> CoordinationChanges? {
            let after = position.withLock { $0 }
            while !Task.isCancelled {
                let seen = store.signal.count
                if let batch = try store.changes(prefix: prefix, after: after),
                    batch.revision > after
                {
                    position.withLock { $0 = batch.revision }
                    return batch
                }
                await store.signal.wait(past: seen)
            }
            return nil
        }
    }
}
