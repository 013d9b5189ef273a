import TallyReplication
import Testing

@Suite("The coordination ledger")
struct CoordinationLedgerTests {
    static func put(
        _ key: String, _ value: [UInt8] = [1], lease: LeaseID? = nil,
        if conditions: [CoordinationCondition] = []
    ) throws(CoordinationError) -> CoordinationTransaction {
        try CoordinationTransaction(
            conditions: conditions, operations: [.put(key: key, value: value, lease: lease)])
    }

    static func at(_ milliseconds: Int64) -> CoordinationInstant {
        CoordinationInstant(milliseconds: milliseconds)
    }

    @Test("a transaction takes one revision, and one that changes nothing takes none")
    func revisions() throws {
        var ledger = CoordinationLedger()
        let begun = ledger.revision
        #expect(begun == CoordinationRevision(1))
        let two = try CoordinationTransaction(operations: [
            .put(key: "b", value: [2]), .put(key: "a", value: []),
        ])
        #expect(try ledger.commit(two) == .success(CoordinationRevision(2)))
        let snapshot = try ledger.read(prefix: "")
        #expect(snapshot.revision == CoordinationRevision(2))
        #expect(snapshot.entries.map(\.key) == ["a", "b"])
        #expect(snapshot.entries.allSatisfy { $0.modificationRevision == snapshot.revision })
        let nothing = try CoordinationTransaction(operations: [.delete(key: "c")])
        #expect(try ledger.commit(nothing) == .success(CoordinationRevision(2)))
        #expect(try ledger.changes(prefix: "", after: begun).changes.map(\.key) == ["b", "a"])
    }

    @Test("all of a transaction is done, or nothing of it")
    func conditions() throws {
        var ledger = CoordinationLedger()
        #expect(try ledger.commit(Self.put("a", if: [.absent(key: "a")])) != .conflict)
        let before = ledger
        let a = try #require(ledger.entry(of: "a")).modificationRevision
        for condition: CoordinationCondition in [
            .absent(key: "a"), .exists(key: "b"),
            .modified(key: "a", revision: CoordinationRevision(a.rawValue + 1)),
            .modified(key: "b", revision: a),
        ] {
            #expect(
                try ledger.commit(Self.put("a", [9], if: [.exists(key: "a"), condition]))
                    == .conflict)
            #expect(ledger == before)
        }
        let both: [CoordinationCondition] = [
            .modified(key: "a", revision: a), .exists(key: "a"), .absent(key: "b"),
        ]
        #expect(try ledger.commit(Self.put("a", [9], if: both)) != .conflict)
        #expect(ledger.entry(of: "a")?.value == [9])
    }

    @Test("a lease ends at its deadline and not before, and its keys with it in one revision")
    func expiry() throws {
        var ledger = CoordinationLedger()
        let lease = try ledger.grant(seconds: 10, now: Self.at(500))
        #expect(lease.seconds == 10)
        _ = try ledger.commit(Self.put("m/2", lease: lease.id))
        _ = try ledger.commit(Self.put("m/1", lease: lease.id))
        _ = try ledger.commit(Self.put("other"))
        #expect(ledger.keys(of: lease.id) == ["m/1", "m/2"])
        #expect(ledger.expire(now: Self.at(10_499)).isEmpty)
        #expect(try ledger.keepAlive(lease.id, now: Self.at(10_499)) == lease)
        #expect(ledger.nextDeadline == Self.at(20_499))
        // Its deadline has passed: nobody may revive it, though it is still there.
        #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
            try ledger.keepAlive(lease.id, now: Self.at(20_499))
        }
        #expect(try ledger.read(prefix: "m/").entries.count == 2)
        let revision = ledger.revision.rawValue + 1
        #expect(
            ledger.expire(now: Self.at(20_499)) == [
                .delete(key: "m/1", revision: CoordinationRevision(revision)),
                .delete(key: "m/2", revision: CoordinationRevision(revision)),
            ])
        #expect(try ledger.read(prefix: "").entries.map(\.key) == ["other"])
        #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
            try ledger.commit(Self.put("m/1", lease: lease.id))
        }
        #expect(throws: CoordinationError.leaseNotFound(lease.id)) { try ledger.revoke(lease.id) }
        #expect(ledger.nextDeadline == nil)
    }

    @Test("what counts is the time that was granted, and a keep-alive never shortens it")
    func grantedTime() throws {
        var ledger = CoordinationLedger(leaseSecondsMin: 5)
        let lease = try ledger.grant(seconds: 2, now: Self.at(0))
        #expect(lease.seconds == 5)
        #expect(ledger.expire(now: Self.at(4_999)).isEmpty)
        _ = try ledger.keepAlive(lease.id, now: Self.at(4_000))
        _ = try ledger.keepAlive(lease.id, now: Self.at(3_000))
        #expect(ledger.nextDeadline == Self.at(9_000))
        for seconds: Int64 in [0, -1, .min, .max] {
            #expect(throws: CoordinationError.self) {
                try ledger.grant(seconds: seconds, now: Self.at(0))
            }
        }
    }

    @Test("a key goes with the lease it was put with last")
    func movedKeys() throws {
        var ledger = CoordinationLedger()
        let first = try ledger.grant(seconds: 1, now: Self.at(0)).id
        let second = try ledger.grant(seconds: 2, now: Self.at(0)).id
        #expect(first != second)
        _ = try ledger.commit(Self.put("moved", lease: first))
        _ = try ledger.commit(Self.put("moved", lease: second))
        _ = try ledger.commit(Self.put("freed", lease: first))
        _ = try ledger.commit(Self.put("freed"))
        _ = try ledger.commit(Self.put("gone", lease: first))
        _ = try ledger.commit(CoordinationTransaction(operations: [.delete(key: "gone")]))
        // Put again by somebody else.
        _ = try ledger.commit(Self.put("gone"))
        #expect(ledger.expire(now: Self.at(1_000)).isEmpty)
        #expect(try ledger.revoke(second).map(\.key) == ["moved"])
        #expect(try ledger.read(prefix: "").entries.map(\.key) == ["freed", "gone"])
    }

    @Test("a lease that is unknown is told only where the conditions hold")
    func unknownLease() throws {
        var ledger = CoordinationLedger()
        let unknown = LeaseID(7)
        let before = ledger
        #expect(
            try ledger.commit(Self.put("a", lease: unknown, if: [.exists(key: "a")])) == .conflict)
        #expect(throws: CoordinationError.leaseNotFound(unknown)) {
            try ledger.commit(
                CoordinationTransaction(operations: [
                    .put(key: "a", value: []), .put(key: "b", value: [], lease: unknown),
                ]))
        }
        #expect(ledger == before)
    }

    @Test("the history is bounded, and who is behind it is told")
    func history() throws {
        var ledger = CoordinationLedger(historyCountMax: 10)
        let begun = ledger.revision
        for number in 0..<100 { _ = try ledger.commit(Self.put("k\(number % 3)")) }
        let oldest = ledger.compactedRevision
        #expect(ledger.revision.rawValue - oldest.rawValue >= 10)
        #expect(ledger.revision.rawValue - oldest.rawValue <= 20)
        #expect(throws: CoordinationError.compacted(revision: begun, oldest: oldest)) {
            try ledger.changes(prefix: "", after: begun)
        }
        let all = try ledger.changes(prefix: "", after: oldest)
        #expect(all.changes.count == Int(ledger.revision.rawValue - oldest.rawValue))
        #expect(all.changes.map(\.revision) == all.changes.map(\.revision).sorted())
        #expect(all.revision == ledger.revision)
        #expect(try ledger.changes(prefix: "k1", after: oldest).changes.count < all.changes.count)
        #expect(try ledger.changes(prefix: "", after: ledger.revision).changes.isEmpty)
        ledger.compact(through: ledger.revision)
        #expect(throws: CoordinationError.self) { try ledger.changes(prefix: "", after: oldest) }
        #expect(try ledger.read(prefix: "").entries.count == 3)
    }

    @Test("leases that end together go by deadline, each in a revision of its own")
    func expiryOrder() throws {
        var ledger = CoordinationLedger()
        let late = try ledger.grant(seconds: 2, now: Self.at(0)).id
        let early = try ledger.grant(seconds: 1, now: Self.at(0)).id
        _ = try ledger.commit(Self.put("late", lease: late))
        _ = try ledger.commit(Self.put("early", lease: early))
        let changes = ledger.expire(now: Self.at(5_000))
        #expect(changes.map(\.key) == ["early", "late"])
        #expect(Set(changes.map(\.revision)).count == 2)
    }
}
