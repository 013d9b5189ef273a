import TallyReplication
import Testing

extension ConformanceCheck {
    static let leaseChecks = [
        ConformanceCheck("a lease that nobody keeps ends, and its keys with it") { fixture in
            let (owner, other) = (try await fixture.client(), try await fixture.client())
            let asked = ContinuousClock.now
            let seconds = max(3, fixture.leaseSecondsMin)
            let lease = try await owner.grantLease(seconds: seconds)
            #expect(lease.seconds >= seconds)
            let put = try await owner.commit(
                .put(key: "m/2", value: [2], lease: lease.id), .put(key: "n", value: []),
                .put(key: "m/1", value: [1], lease: lease.id))
            let entries = try await other.read(prefix: "m/").entries
            #expect(entries.map(\.lease) == [lease.id, lease.id])
            let changes = try await other.changes(after: put, count: 2)
            // Not before its time, and not for ever.
            #expect(ContinuousClock.now - asked >= .seconds(lease.seconds))
            #expect(ContinuousClock.now - asked < .seconds(lease.seconds + 20))
            #expect(changes.map(\.key) == ["m/1", "m/2"])
            #expect(Set(changes.map(\.revision)).count == 1)
            guard case .delete = changes.first else { throw Unexpected(text: "\(changes)") }
            #expect(try await owner.keys() == ["n"])
            await #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
                try await owner.keepAlive(lease.id)
            }
            await #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
                try await owner.put("m/1", lease: lease.id)
            }
        },
        ConformanceCheck("a lease that is kept alive does not end") { fixture in
            // A machine that is busy may keep a test from its keep-alives: then it is tried again.
            for _ in 0..<10 {
                if try await keepsLease(try await fixture.client(), fixture) { return }
            }
            throw Unexpected(text: "no keep-alive came in time")
        },
        ConformanceCheck("a lease that is revoked ends at once") { fixture in
            let store = try await fixture.client()
            let lease = try await store.grantLease(seconds: 60)
            let other = try await store.grantLease(seconds: 60)
            #expect(lease.seconds == 60)
            #expect(lease.id != other.id)
            try await store.put("b", lease: lease.id)
            try await store.put("other", lease: other.id)
            let put = try await store.put("a", lease: lease.id)
            try await store.revoke(lease.id)
            #expect(try await store.keys() == ["other"])
            let changes = try await store.changes(after: put, count: 2)
            #expect(changes.map(\.key) == ["a", "b"])
            #expect(Set(changes.map(\.revision)).count == 1)
            for _ in 0..<2 {
                await #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
                    try await store.revoke(lease.id)
                }
                await #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
                    try await store.keepAlive(lease.id)
                }
            }
        },
        ConformanceCheck("a key goes with the lease it was put with last") { fixture in
            let store = try await fixture.client()
            let first = try await store.grantLease(seconds: 60).id
            let second = try await store.grantLease(seconds: 60).id
            try await store.put("moved", lease: first)
            try await store.put("moved", lease: second)
            try await store.put("freed", lease: first)
            try await store.put("freed")
            try await store.put("gone", lease: first)
            try await store.commit(.delete(key: "gone"))
            try await store.put("gone")
            try await store.revoke(first)
            #expect(try await store.keys() == ["freed", "gone", "moved"])
            try await store.revoke(second)
            #expect(try await store.keys() == ["freed", "gone"])
        },
        ConformanceCheck("a lease that is unknown is told where the conditions hold") { fixture in
            let store = try await fixture.client()
            let unknown = LeaseID(7)
            let conflict = try CoordinationTransaction(
                conditions: [.exists(key: "a")],
                operations: [.put(key: "a", value: [], lease: unknown)])
            #expect(try await store.commit(conflict) == .conflict)
            await #expect(throws: CoordinationError.leaseNotFound(unknown)) {
                try await store.commit(
                    .put(key: "a", value: []), .put(key: "b", value: [], lease: unknown))
            }
            #expect(try await store.keys().isEmpty)
        },
    ]

    /// Keeps a lease for twice as long as it would have lived; false where a keep-alive came late.
    private static func keepsLease(
        _ store: any CoordinationStore, _ fixture: any CoordinationFixture
    ) async throws -> Bool {
        var asked = ContinuousClock.now
        let lease = try await store.grantLease(seconds: max(2, fixture.leaseSecondsMin))
        let end = asked + .seconds(2 * lease.seconds)
        let revision = try await store.put("m", lease: lease.id)
        while ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(150 * lease.seconds))
            let sent = ContinuousClock.now
            let kept = try? await store.keepAlive(lease.id)
            if ContinuousClock.now - asked > .seconds(lease.seconds) { return false }
            asked = sent
            #expect(kept == lease)
        }
        let entries = try await fixture.client().read(prefix: "").entries
        if ContinuousClock.now - asked > .seconds(lease.seconds) { return false }
        #expect(
            entries == [
                .init(key: "m", value: [1], modificationRevision: revision, lease: lease.id)
            ])
        try await store.revoke(lease.id)
        return true
    }
}
