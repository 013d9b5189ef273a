import TallyReplication
import Testing

extension ConformanceCheck {
    static let transactionChecks = [
        ConformanceCheck("all operations of a transaction take one revision") { fixture in
            let store = try await fixture.client()
            let begun = try await store.read(prefix: "").revision
            let revision = try await store.commit(
                .put(key: "b", value: [2]), .put(key: "a", value: []))
            #expect(revision > begun)
            let snapshot = try await fixture.client().read(prefix: "")
            #expect(snapshot.revision == revision)
            #expect(snapshot.entries.map(\.key) == ["a", "b"])
            #expect(snapshot.entries.map(\.value) == [[], [2]])
            #expect(snapshot.entries.allSatisfy { $0.modificationRevision == revision })
            #expect(snapshot.entries.allSatisfy { $0.lease == nil })
            // One that changes nothing takes none.
            #expect(try await store.commit(.delete(key: "c")) == revision)
            #expect(try await store.commit() == revision)
            #expect(try await store.put("a", []) > revision)
        },
        ConformanceCheck("all of a transaction is done, or nothing of it") { fixture in
            let store = try await fixture.client()
            let a = try await store.commit(if: [.absent(key: "a")], .put(key: "a", value: [1]))
            let before = try await store.read(prefix: "")
            let failing: [CoordinationCondition] = [
                .absent(key: "a"), .exists(key: "b"), .modified(key: "b", revision: a),
                .modified(key: "a", revision: CoordinationRevision(a.rawValue + 1)),
                .modified(key: "a", revision: CoordinationRevision(a.rawValue - 1)),
            ]
            for condition in failing {
                let transaction = try CoordinationTransaction(
                    conditions: [.exists(key: "a"), condition],
                    operations: [
                        .put(key: "c", value: []), .delete(key: "a"), .put(key: "b", value: []),
                    ])
                #expect(try await store.commit(transaction) == .conflict, "\(condition)")
                #expect(try await store.read(prefix: "") == before, "\(condition)")
            }
            try await store.commit(
                if: [.modified(key: "a", revision: a), .exists(key: "a"), .absent(key: "b")],
                .delete(key: "a"), .put(key: "b", value: [3]))
            #expect(try await store.keys() == ["b"])
            // A key that was deleted and put again is another one.
            try await store.put("a", [1])
            let stale = try CoordinationTransaction(
                conditions: [.modified(key: "a", revision: a)], operations: [.delete(key: "a")])
            #expect(try await store.commit(stale) == .conflict)
        },
        ConformanceCheck("128 operations under 128 conditions are one transaction") { fixture in
            let store = try await fixture.client()
            let keys = (0..<CoordinationLimits.operationsMax).map { "k/\(1000 + $0)" }
            let transaction = try CoordinationTransaction(
                conditions: keys.map { .absent(key: $0) },
                operations: keys.map { .put(key: $0, value: Array($0.utf8)) })
            guard case .success(let revision) = try await store.commit(transaction) else {
                throw Unexpected(text: "a conflict")
            }
            #expect(try await store.commit(transaction) == .conflict)
            let snapshot = try await store.read(prefix: "k/")
            #expect(snapshot.entries.map(\.key) == keys)
            #expect(snapshot.entries.allSatisfy { $0.modificationRevision == revision })
            #expect(throws: CoordinationError.tooManyOperations(count: 129, limit: 128)) {
                try CoordinationTransaction(
                    operations: transaction.operations + [.delete(key: "one-more")])
            }
        },
        ConformanceCheck("of those who write at the same time none is lost") { fixture in
            let (tasks, rounds) = (4, 25)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<tasks {
                    let store = try await fixture.client()
                    group.addTask {
                        for _ in 0..<rounds { try await increment("counter", in: store) }
                    }
                }
                try await group.waitForAll()
            }
            let entry = try await fixture.client().read(prefix: "counter").entry(of: "counter")
            #expect(entry?.value == [UInt8(tasks * rounds)])
        },
        ConformanceCheck("of those who want the same key one gets it") { fixture in
            for round in 0..<5 {
                let transaction = try CoordinationTransaction(
                    conditions: [.absent(key: "controller")],
                    operations: [.put(key: "controller", value: [UInt8(round)])])
                let winners = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<6 {
                        let store = try await fixture.client()
                        group.addTask { try await store.commit(transaction) == .conflict ? 0 : 1 }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(winners == 1)
                try await fixture.client().commit(.delete(key: "controller"))
            }
        },
    ]

    /// Reads, and writes if nobody else has, until that is so.
    private static func increment(_ key: String, in store: any CoordinationStore) async throws {
        while true {
            let entry = try await store.read(prefix: key).entry(of: key)
            let transaction = try CoordinationTransaction(
                conditions: [.modified(key: key, revision: entry?.modificationRevision ?? .absent)],
                operations: [.put(key: key, value: [(entry?.value.first ?? 0) + 1])])
            if try await store.commit(transaction) != .conflict { return }
        }
    }
}
