import Tally
import TallyCluster
import TallyLog
import TallyRecords
import TallyReplication
import TallyTestSupport
import Testing

/// What a replica does when its role changes, without a network: the states are the test's.
@Suite("Roles of a replica")
struct RoleTests {
    /// A replica of a new topic whose member is registered, in an engine of its own.
    private func withReplica(_ body: (Replica) throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let store = MemoryCoordinationStore { CoordinationInstant(milliseconds: 0) }
        let configuration = ClusterConfiguration(nodeID: 1)
        var settings = EngineConfiguration()
        try await ClusterNode.join(&settings, through: store, configuration)
        let engine = try await Engine.open(at: directory.path, configuration: settings)
        let id = TopicID.random()
        try await engine.keep(
            ReplicatedTopic(
                name: "t", id: id, partitionCount: 1, configuration: TopicConfiguration(),
                kept: [0]))
        let session = MemberSession(store, configuration)
        let member = ClusterMember(
            id: ReplicaID(1), host: "127.0.0.1", port: 1, incarnation: session.incarnation)
        let running = Task { await session.run(as: member) {} }
        try await eventually { session.isServing }
        let partition = try engine.partition(0, of: "t")
        let replica = Replica(
            PartitionID(topicID: id.number, partition: 0), topic: "t", member: ReplicaID(1),
            partition: partition, log: try partition.log, session: session,
            settings: ReplicationConfiguration(), proposes: { _ in })
        try body(replica)
        replica.stop()
        running.cancel()
        await running.value
        try await engine.close()
    }

    private func state(leader: Int32, epoch: Int32, inSync: [Int32] = [1, 2]) -> PartitionState {
        PartitionState(
            replicas: [1, 2].map { ReplicaID($0) }, inSyncReplicas: inSync.map { ReplicaID($0) },
            leader: ReplicaID(leader), leaderEpoch: LeaderEpoch(epoch), version: epoch)
    }

    private func batch(epoch: Int32 = 0) throws -> [UInt8] {
        var builder = try RecordBatchBuilder(codec: .none)
        let value = Array("v".utf8)
        try builder.append(key: value.rawSpan, value: value.rawSpan, timestamp: .now)
        var bytes: [UInt8] = []
        bytes.append(try builder.finish(producer: .none))
        return bytes
    }

    private func append(to log: PartitionLog) throws -> AppendResult {
        var bytes = try batch()
        return try bytes.withMutableRawSpan { bytes in
            try log.append(&bytes, from: .outside, now: .now)
        }
    }

    @Test("A deposed leader has what it appended on stable storage before it says that it has it")
    func deposed() async throws {
        try await withReplica { replica in
            #expect(try replica.heed(state(leader: 1, epoch: 0)) == .renew)
            #expect(try replica.heed(state(leader: 1, epoch: 1)) == .lead)
            _ = try append(to: replica.log)
            #expect(replica.log.syncedEnd == Offset(0), "acks=1 does not wait for a sync")
            #expect(try replica.heed(state(leader: 2, epoch: 2)) == .follow(ReplicaID(2)))
            #expect(replica.log.syncedEnd == Offset(1))
        }
    }

    @Test("A follower asks for nothing behind what it could not sync yet")
    func unsynced() async throws {
        try await withReplica { replica in
            #expect(try replica.heed(state(leader: 2, epoch: 1)) == .follow(ReplicaID(2)))
            #expect(replica.request(to: ReplicaID(2)) != nil)
            let bytes = try batch()
            try replica.log.appendReplica(bytes.rawSpan)
            #expect(replica.request(to: ReplicaID(2)) == nil)
            try replica.log.flush()
            #expect(replica.request(to: ReplicaID(2)) != nil)
        }
    }

    @Test("What was appended in an epoch is not told to be committed in a later one")
    func epochs() async throws {
        try await withReplica { replica in
            _ = try replica.heed(state(leader: 1, epoch: 0))
            _ = try replica.heed(state(leader: 1, epoch: 1))
            let log = replica.log
            let appended = try append(to: log)
            #expect(appended.leaderEpoch == LeaderEpoch(1))
            #expect(try !log.isCommitted(before: appended.nextOffset, in: LeaderEpoch(1)))
            #expect(log.committedEnd(in: LeaderEpoch(1)) == Offset(0))
            _ = try replica.heed(state(leader: 2, epoch: 2))
            #expect(log.committedEnd(in: LeaderEpoch(1)) == nil)
            // It leads again, alone in sync: all that it has is committed, in this epoch.
            _ = try replica.heed(state(leader: 1, epoch: 3, inSync: [1]))
            #expect(log.committedEnd(in: LeaderEpoch(3)) == Offset(1))
            #expect(log.committedEnd(in: LeaderEpoch(1)) == nil)
            let known = try? log.isCommitted(before: appended.nextOffset, in: LeaderEpoch(1))
            #expect(known == nil)
        }
    }
}
