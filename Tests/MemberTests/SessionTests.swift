import Synchronization
import TallyCluster
import TallyFiles
import TallyReplication
import Testing

/// When a member may acknowledge and answer.
@Suite("A member's session", .timeLimit(.minutes(2)))
struct SessionTests {
    @Test("A member serves once it has done what was said before it was registered, each time")
    func registration() async throws {
        let ahead = Atomic<Int64>(0)
        let store = MemoryCoordinationStore {
            CoordinationInstant(
                milliseconds: MachineClock.milliseconds + ahead.load(ordering: .acquiring))
        }
        var configuration = ClusterConfiguration(nodeID: 1)
        configuration.sessionTimeoutMilliseconds = 1000
        let session = MemberSession(store, configuration)
        let registrations = Atomic(0)
        let member = ClusterMember(
            id: ReplicaID(1), host: "127.0.0.1", port: 1, incarnation: session.incarnation)
        let running = Task {
            await session.run(as: member) { registrations.add(1, ordering: .relaxed) }
        }
        try await eventually { registrations.load(ordering: .relaxed) == 1 }
        let first = try await store.read(prefix: "").revision
        #expect(session.lease != nil && !session.isServing)
        session.noteHeeded(first)
        #expect(session.isServing)
        // Its lease ends, others lead what it led, and it registers anew before it hears of that.
        ahead.store(60_000, ordering: .releasing)
        try await eventually { registrations.load(ordering: .relaxed) == 2 }
        #expect(session.lease != nil && !session.isServing)
        session.noteHeeded(try await store.read(prefix: "").revision)
        #expect(session.isServing)
        running.cancel()
        await running.value
    }
}
