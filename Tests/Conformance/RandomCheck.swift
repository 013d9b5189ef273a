import TallyReplication
import TallyTestSupport
import Testing

extension ConformanceCheck {
    /// Leases are long ones, ended by hand: then time has no part in it.
    static let randomCheck = ConformanceCheck(
        "whatever is done, it answers as the ledger does"
    ) { fixture in
        let store = try await fixture.client()
        var run = RandomRun(store: store, revision: try await store.read(prefix: "").revision)
        for _ in 0..<300 { try await run.step() }
        try await run.compareWatches()
    }
}

/// The same at random on a store and on a ledger.
private struct RandomRun {
    let store: any CoordinationStore
    var ledger = CoordinationLedger()
    var random = TallyTestSupport.SeededGenerator.fromEnvironment("coordination store")
    /// What the ledger's leases are called in the store.
    var leases: [(ledger: LeaseID, store: LeaseID)] = []
    /// How far the store's revisions were ahead of the ledger's at the beginning.
    let offset: Int64
    let begun: CoordinationRevision

    init(store: any CoordinationStore, revision: CoordinationRevision) {
        self.store = store
        begun = revision
        offset = revision.rawValue - ledger.revision.rawValue
    }

    mutating func step() async throws {
        let now = CoordinationInstant(milliseconds: 0)
        switch Int.random(in: 0..<20, using: &random) {
        case 0:
            let lease = try await store.grantLease(seconds: 600)
            leases.append((try ledger.grant(seconds: 600, now: now).id, lease.id))
        case 1:
            guard let lease = leases.randomElement(using: &random) else { return }
            let isThere = (try? ledger.revoke(lease.ledger)) != nil
            do throws(CoordinationError) {
                try await store.revoke(lease.store)
                #expect(isThere)
            } catch {
                #expect(error == .leaseNotFound(lease.store) && !isThere)
            }
        case 2...4:
            let prefix = ["", "k", "k1", "k/", "x"].randomElement(using: &random) ?? ""
            let snapshot = try await store.read(prefix: prefix)
            let expected = try ledger.read(prefix: prefix)
            #expect(snapshot.revision == storeRevision(expected.revision))
            #expect(snapshot.entries == expected.entries.map(storeEntry))
        default:
            try await commit()
        }
    }

    private mutating func commit() async throws {
        var conditions: [CoordinationCondition] = []
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            let key = randomKey()
            let revision = ledger.entry(of: key)?.modificationRevision ?? .absent
            switch Int.random(in: 0..<6, using: &random) {
            case 0: conditions.append(.exists(key: key))
            case 1: conditions.append(.absent(key: key))
            case 2: conditions.append(.modified(key: key, revision: ledger.revision))
            default: conditions.append(.modified(key: key, revision: revision))
            }
        }
        var operations: [CoordinationOperation] = []
        var written: Set<String> = []
        for _ in 0..<Int.random(in: 0...5, using: &random) {
            let key = randomKey()
            guard written.insert(key).inserted else { continue }
            if Int.random(in: 0..<3, using: &random) == 0 {
                operations.append(.delete(key: key))
            } else {
                let lease = Bool.random(using: &random) ? leases.randomElement(using: &random) : nil
                let value = random.bytes(Int.random(in: 0...20, using: &random))
                operations.append(.put(key: key, value: value, lease: lease?.ledger))
            }
        }
        let expected = Result { () throws(CoordinationError) in
            try ledger.commit(
                CoordinationTransaction(conditions: conditions, operations: operations))
        }
        let transaction = try CoordinationTransaction(
            conditions: conditions.map(storeCondition), operations: operations.map(storeOperation))
        do throws(CoordinationError) {
            switch (try await store.commit(transaction), try expected.get()) {
            case (.success(let revision), .success(let ledgerRevision)):
                #expect(revision == storeRevision(ledgerRevision))
            case (.conflict, .conflict): break
            case (let outcome, let expected):
                Issue.record("\(outcome), and the ledger says \(expected)")
            }
        } catch {
            guard case .leaseNotFound = error, case .failure(.leaseNotFound) = expected else {
                Issue.record("\(error), and the ledger says \(expected)")
                return
            }
        }
    }

    /// From several moments, all changes since are the same.
    mutating func compareWatches() async throws {
        for prefix in ["", "k1", "k/"] {
            let first = ledger.compactedRevision.rawValue
            let after = CoordinationRevision(
                Int64.random(in: first...ledger.revision.rawValue, using: &random))
            let expected = try ledger.changes(prefix: prefix, after: after).changes
            let found = try await store.changes(
                prefix, after: storeRevision(after), count: expected.count)
            #expect(found == expected.map(storeChange))
        }
    }

    private mutating func randomKey() -> String {
        let number = Int.random(in: 0..<12, using: &random)
        return number % 3 == 0 ? "k/\(number)" : "k\(number)"
    }

    // MARK: From the ledger's names to the store's

    private func storeRevision(_ revision: CoordinationRevision) -> CoordinationRevision {
        // 0 is an absent key, in both.
        revision == .absent ? revision : CoordinationRevision(revision.rawValue + offset)
    }

    private func storeLease(_ lease: LeaseID?) -> LeaseID? {
        leases.first { $0.ledger == lease }?.store
    }

    private func storeEntry(_ entry: CoordinationEntry) -> CoordinationEntry {
        CoordinationEntry(
            key: entry.key, value: entry.value,
            modificationRevision: storeRevision(entry.modificationRevision),
            lease: storeLease(entry.lease))
    }

    private func storeCondition(_ condition: CoordinationCondition) -> CoordinationCondition {
        guard case .modified(let key, let revision) = condition else { return condition }
        return .modified(key: key, revision: storeRevision(revision))
    }

    private func storeOperation(_ operation: CoordinationOperation) -> CoordinationOperation {
        guard case .put(let key, let value, let lease) = operation else { return operation }
        return .put(key: key, value: value, lease: storeLease(lease))
    }

    private func storeChange(_ change: CoordinationChange) -> CoordinationChange {
        switch change {
        case .put(let entry): .put(storeEntry(entry))
        case .delete(let key, let revision): .delete(key: key, revision: storeRevision(revision))
        }
    }
}
