import Tally
import TallyLog
import TallyRecords
import TallyReplication
import TallyTestSupport
import TallyWire
import Testing

@testable import TallyCluster

/// What a replica does when its role changes, without a network: the states are the test's.
@Suite("Roles of a replica")
struct RoleTests {
    /// A replica of a new topic whose member is registered, in an engine of its own.
    private func withReplica(
        of topic: String = "t", _ body: (Replica, Engine) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let store = MemoryCoordinationStore { CoordinationInstant(milliseconds: 0) }
        let configuration = ClusterConfiguration(nodeID: 1)
        var settings = EngineConfiguration()
        try await ClusterNode.join(&settings, through: store, configuration)
        let engine = try await Engine.open(at: directory.path, configuration: settings)
        let id = TopicID.random()
        try await engine.keep(
            ReplicatedTopic(
                name: topic, id: id, partitionCount: 1, configuration: TopicConfiguration(),
                kept: [0]))
        let session = MemberSession(store, configuration)
        let member = ClusterMember(
            id: ReplicaID(1), host: "127.0.0.1", port: 1, incarnation: session.incarnation)
        let running = Task { await session.run(as: member) {} }
        session.noteHeeded(CoordinationRevision(.max))
        try await eventually { session.isServing }
        let partition = try engine.partition(0, of: topic)
        let replica = Replica(
            PartitionID(topicID: id.number, partition: 0), topic: topic, member: ReplicaID(1),
            partition: partition, log: try partition.log, session: session,
            news: ClusterNews(store, logger: configuration.logger),
            settings: ReplicationConfiguration(), proposes: { _ in })
        try await body(replica, engine)
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

    /// A batch of one record, which as one of an internal topic is of a kind that nobody knows yet.
    private func batch(at offset: Int64 = 0, epoch: Int32 = 0) throws -> [UInt8] {
        var builder = try RecordBatchBuilder(codec: .none)
        let value: [UInt8] = [0x7f, 0xff]
        try builder.append(key: value.rawSpan, value: value.rawSpan, timestamp: .now)
        var bytes: [UInt8] = []
        bytes.append(try builder.finish(producer: .none))
        bytes.withMutableRawSpan { bytes in
            RecordBatch.assign(
                baseOffset: Offset(offset), leaderEpoch: LeaderEpoch(epoch), in: &bytes)
        }
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
        try await withReplica { replica, _ in
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
        try await withReplica { replica, _ in
            #expect(try replica.heed(state(leader: 2, epoch: 1)) == .follow(ReplicaID(2)))
            #expect(replica.request(to: ReplicaID(2)) != nil)
            let bytes = try batch()
            try replica.log.appendReplica(bytes.rawSpan)
            #expect(replica.request(to: ReplicaID(2)) == nil)
            try replica.log.flush()
            #expect(replica.request(to: ReplicaID(2)) != nil)
        }
    }

    @Test("An answer that comes twice cuts nothing of what came in between")
    func twice() async throws {
        try await withReplica { replica, engine in
            let leader = ReplicaID(2)
            #expect(try replica.heed(state(leader: 2, epoch: 3)) == .follow(leader))
            for offset: Int64 in 0..<2 {
                let old = try batch(at: offset, epoch: 1)
                try replica.log.appendReplica(old.rawSpan)
            }
            try replica.log.flush()
            let work = FollowerWork(
                leader: leader, engine: engine, logger: ClusterConfiguration(nodeID: 1).logger)
            func asked() throws -> FollowerPlan.Item {
                let (epoch, request) = try #require(replica.request(to: leader))
                return FollowerPlan.Item(replica: replica, epoch: epoch, request: request)
            }
            var end = OffsetForLeaderEpochResponse.EpochEnd()
            (end.leaderEpoch, end.endOffset) = (1, 2)
            _ = try work.agree(with: end, try asked())
            // Asked for on both lanes, and told twice: epoch 1 ends at 1.
            let item = try asked()
            var diverging = FetchResponse.Partition()
            (diverging.divergingEpoch.epoch, diverging.divergingEpoch.endOffset) = (1, 1)
            _ = try work.take(diverging, item)
            #expect(replica.log.logEnd == Offset(1))
            var answer = FetchResponse.Partition()
            answer.records = try batch(at: 1, epoch: 2)[...]
            _ = try work.take(answer, try asked())
            #expect(replica.log.logEnd == Offset(2) && replica.log.syncedEnd == Offset(2))
            // The log ends where it did, and has something else there.
            _ = try work.take(diverging, item)
            #expect(replica.log.logEnd == Offset(2))
            #expect(replica.log.latestEpoch == LeaderEpoch(2))
        }
    }

    @Test("A leader that hands over answers nobody before it knows that it leads on")
    func handingOver() async throws {
        try await withReplica { replica, _ in
            _ = try replica.heed(state(leader: 1, epoch: 0, inSync: [1]))
            _ = try replica.heed(state(leader: 1, epoch: 1, inSync: [1]))
            let log = replica.log
            let appended = try append(to: log)
            try log.flush()
            #expect(try log.isCommitted(before: appended.nextOffset, in: LeaderEpoch(1)))
            replica.change {
                var next = $0.replacing(inSyncReplicas: $0.inSyncReplicas)
                next.leader = ReplicaID(2)
                next.leaderEpoch = next.leaderEpoch.next
                return next
            }
            #expect(replica.proposal?.leader == ReplicaID(2))
            #expect(throws: LogError.self) {
                try log.isCommitted(before: appended.nextOffset, in: LeaderEpoch(1))
            }
            #expect(throws: LogError.self) { try replica.checkAppend(forAll: false) }
            #expect(throws: ReplicationError.handingOver) { try replica.check(LeaderEpoch(1)) }
            #expect(throws: ReplicationError.handingOver) {
                try replica.highWatermarkForConsumers()
            }
            var other = state(leader: 1, epoch: 1, inSync: [1])
            other.version = 2
            #expect(try replica.heed(other) == .none)
            #expect(try log.isCommitted(before: appended.nextOffset, in: LeaderEpoch(1)))
            try replica.check(LeaderEpoch(1))
        }
    }

    @Test("What was appended in an epoch is not told to be committed in a later one")
    func epochs() async throws {
        try await withReplica { replica, _ in
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

    @Test("A coordinator that is loaded for an epoch which is over keeps none from being served")
    func loading() async throws {
        try await withReplica(of: "__consumer_offsets") { replica, engine in
            #expect(try replica.heed(state(leader: 1, epoch: 0)) == .renew)
            #expect(try replica.heed(state(leader: 1, epoch: 1)) == .lead)
            _ = try append(to: replica.log)
            // Nobody else has it: what is loaded is not committed, and never will be in this epoch.
            let first = Task {
                try await engine.becomeCoordinator(of: replica.place, epoch: LeaderEpoch(1))
            }
            try await Task.sleep(for: .milliseconds(50))
            #expect(try replica.heed(state(leader: 1, epoch: 2, inSync: [1])) == .lead)
            try await first.value
            let group = try #require(
                (0..<1000).lazy.map { "g\($0)" }.first {
                    engine.offsetsPartition(ofGroup: $0) == replica.place
                })
            await #expect(throws: EngineError.self) {
                try await engine.committedOffsets(ofGroup: group)
            }
            try await engine.becomeCoordinator(of: replica.place, epoch: LeaderEpoch(2))
            #expect(try await engine.committedOffsets(ofGroup: group).isEmpty)
        }
    }
}
