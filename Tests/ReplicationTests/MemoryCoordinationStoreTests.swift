import Synchronization
import TallyReplication
import Testing

@Suite("The coordination store in memory", .timeLimit(.minutes(1)))
struct MemoryCoordinationStoreTests {
    private final class Clock: Sendable {
        let milliseconds = Mutex<Int64>(0)
        func now() -> CoordinationInstant {
            CoordinationInstant(milliseconds: milliseconds.withLock { $0 })
        }
        func advance(_ count: Int64) { milliseconds.withLock { $0 += count } }
    }

    @Test("an outage is told to callers, and watches go on behind it")
    func outage() async throws {
        let clock = Clock()
        let store = MemoryCoordinationStore(now: clock.now)
        let put = try CoordinationTransaction(operations: [.put(key: "a", value: [1])])
        let begun = try await store.read(prefix: "").revision
        _ = try await store.commit(put)
        store.setOutage("the network is down")
        let error = CoordinationError.unavailable(reason: "the network is down")
        await #expect(throws: error) { try await store.commit(put) }
        await #expect(throws: error) { try await store.read(prefix: "") }
        await #expect(throws: error) { try await store.grantLease(seconds: 1) }
        let watch = store.watch(prefix: "", after: begun)
        async let batch = { () async throws in
            var iterator = watch.makeAsyncIterator()
            return try await iterator.next()
        }()
        await Task.yield()
        store.setOutage(nil)
        #expect(try await batch?.changes.map(\.key) == ["a"])
    }

    @Test("leases end during an outage too, and watchers hear of it")
    func leases() async throws {
        let clock = Clock()
        let store = MemoryCoordinationStore(now: clock.now)
        let lease = try await store.grantLease(seconds: 1)
        _ = try await store.commit(
            CoordinationTransaction(operations: [.put(key: "a", value: [], lease: lease.id)]))
        let snapshot = try await store.read(prefix: "")
        store.setOutage("gone")
        clock.advance(1000)
        store.expire()
        store.setOutage(nil)
        var iterator = store.watch(prefix: "", after: snapshot.revision).makeAsyncIterator()
        let revision = CoordinationRevision(snapshot.revision.rawValue + 1)
        let batch = try await iterator.next()
        #expect(batch?.changes == [.delete(key: "a", revision: revision)])
        await #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
            try await store.keepAlive(lease.id)
        }
    }

    @Test("closing ends watches with an error, cancelling without one")
    func ends() async throws {
        let store = MemoryCoordinationStore(now: Clock().now)
        let watch = store.watch(prefix: "", after: .init(1))
        let cancelled = Task { for try await _ in watch { Issue.record("nothing was changed") } }
        await Task.yield()
        cancelled.cancel()
        try await cancelled.value
        let closed = Task { for try await _ in watch { Issue.record("nothing was changed") } }
        await Task.yield()
        store.close()
        await #expect(throws: CoordinationError.unavailable(reason: "it was closed")) {
            try await closed.value
        }
        await #expect(throws: CoordinationError.self) { try await store.read(prefix: "") }
    }
}
