import Foundation
import Tally
import TallyCluster
import TallyReplication
import TallyStateStore
import TallyTestSupport
import Testing

/// `tally cluster`, with a store as members would fill it, and without any: what commands do to it,
/// and what they say. What members make of it is FailoverTests'.
@Suite("tally cluster", .timeLimit(.minutes(5)))
struct ClusterCommandTests {
    private let directory: TemporaryDirectory
    private let store: SQLiteCoordinationStore
    private let administration: ClusterAdministration
    private var option: String { "sqlite:\(directory.path("cluster.db"))" }

    init() throws {
        directory = try TemporaryDirectory()
        store = try SQLiteCoordinationStore(path: directory.path("cluster.db"))
        administration = ClusterAdministration(store)
    }

    private func register(_ members: ClosedRange<Int32>) async throws {
        for id in members {
            let lease = try await store.grantLease(seconds: 600)
            let member = ClusterMember(
                id: ReplicaID(id), host: "127.0.0.1", port: 9000 + id, rack: "r\(id)",
                incarnation: UInt64(id))
            _ = try await store.commit(
                CoordinationTransaction(operations: [
                    .put(
                        key: ClusterKeys.member(member.id), value: member.encoded(),
                        lease: lease.id)
                ]))
        }
    }

    private func createTopic(_ assignment: [[Int32]]) async throws {
        _ = try await administration.clusterID(creating: true)
        _ = try await administration.createTopic(
            "stock", partitions: assignment.count, replicationFactor: assignment[0].count,
            assignment: assignment.map { $0.map { ReplicaID($0) } },
            configuration: TopicConfiguration())
    }

    private func run(_ arguments: String...) throws -> CommandRun {
        try CommandRun.program(["cluster"] + arguments + ["--cluster", option])
    }

    private func state(_ partition: Int32) async throws -> PartitionState {
        try #require(try await administration.image().state(of: "stock", partition))
    }

    /// Changes what the store says of a partition.
    private func change(
        _ partition: Int32, _ body: (inout PartitionState) -> Void
    ) async throws {
        try await administration.changeStates { record, _ in
            guard record.partition == partition else { return nil }
            var next = record.state.replacing(inSyncReplicas: record.state.inSyncReplicas)
            body(&next)
            return next
        }
    }

    /// Runs something while moves are done, as members and a controller would.
    private func whileMembersMove(_ body: @escaping @Sendable () throws -> Void) async throws {
        let administration = administration
        let moving = Task {
            while !Task.isCancelled {
                try await administration.changeStates { record, image in
                    let election = Election(live: image.live)
                    if let answer = election.answering(record.state) { return answer }
                    guard record.state.target != nil else { return nil }
                    let all = record.state.replacing(inSyncReplicas: record.state.replicas)
                    return Reassignment.finish(all, live: election.live)
                }
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        defer { moving.cancel() }
        // The program runs on a thread of its own: it blocks.
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }

    @Test("status shows members, who keeps and leads what, and what is not as it should be")
    func status() async throws {
        try await register(1...2)
        try await createTopic([[1, 2], [2, 1]])
        try await administration.changeStates { record, _ in
            record.partition == 1
                ? record.state.replacing(inSyncReplicas: [ReplicaID(2)]) : nil
        }
        let shown = try run("status")
        #expect(shown.exitCode == 0, "\(shown.errors)")
        #expect(shown.output.contains("127.0.0.1:9002"))
        #expect(shown.lines.contains { $0.contains("stock") && $0.contains("under-replicated") })
        let problems = try run("status", "--problems", "--json")
        let rows = try problems.lines.map {
            try #require(
                try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(rows.count == 1)
        #expect(rows[0]["partition"] as? Int == 1 && rows[0]["leader"] as? Int == 2)
        #expect(rows[0]["replicas"] as? String == "2,1" && rows[0]["inSync"] as? String == "2")
    }

    @Test("elect has preferred leaders lead, in a new epoch; unclean, others where none is left")
    func elect() async throws {
        try await register(1...2)
        try await createTopic([[1, 2], [2, 1]])
        try await administration.handOver(from: ReplicaID(1))
        try await administration.changeStates { record, _ in
            record.state.replacing(inSyncReplicas: record.state.replicas)
        }
        let before = try await state(0)
        #expect(before.leader == ReplicaID(2))
        try await whileMembersMove {
            let run = try run("elect", "--topic", "stock")
            #expect(run.exitCode == 0 && run.output == "1 partitions have another leader.\n")
        }
        let after = try await state(0)
        #expect(after.leader == ReplicaID(1) && after.leaderEpoch > before.leaderEpoch)
        // Also where another one is not in sync.
        try await change(0) { state in
            state.replicas.append(ReplicaID(3))
            state.leader = ReplicaID(2)
        }
        try await whileMembersMove {
            let run = try run("elect")
            #expect(run.exitCode == 0 && run.output == "1 partitions have another leader.\n")
        }
        #expect(try await state(0).leader == ReplicaID(1))
        try await change(0) { $0.replicas.removeLast() }
        // Member 1 counts as the only one in sync, and has lost its directory.
        try await administration.changeStates { record, _ in
            record.state.leader == ReplicaID(1)
                ? record.state.replacing(inSyncReplicas: [ReplicaID(1)]) : nil
        }
        _ = try self.run("elect")
        #expect(try await state(0).leader == ReplicaID(1), "nobody else may lead")
        let unclean = try self.run("elect", "--unclean", "--without", "1")
        #expect(unclean.exitCode == 0, "\(unclean.errors)")
        let elected = try await state(0)
        #expect(elected.leader == ReplicaID(2) && elected.inSyncReplicas == [ReplicaID(2)])
    }

    @Test("reassign, add and remove move replicas, and wait until they have moved")
    func moves() async throws {
        try await register(1...3)
        try await createTopic([[1, 2], [2, 1], [1, 2], [2, 1]])
        try await whileMembersMove {
            let moved = try run(
                "reassign", "stock", "--partition", "0", "--to", "3,2", "--wait")
            #expect(moved.exitCode == 0, "\(moved.errors)")
        }
        #expect(try await state(0).replicas == [3, 2].map { ReplicaID($0) })
        try await whileMembersMove {
            let added = try run("add", "3")
            #expect(added.exitCode == 0, "\(added.errors)")
            #expect(added.output == "Member 3 keeps 2 replicas.\n")
        }
        let kept = try await administration.image().partitions.map(\.state.replicas)
        #expect(kept.count { $0.contains(ReplicaID(3)) } == 2)
        #expect(kept.allSatisfy { $0.count == 2 })
        try await whileMembersMove {
            let removed = try run("remove", "1")
            #expect(removed.exitCode == 0, "\(removed.errors)")
            #expect(removed.output == "Member 1 keeps nothing any more.\n")
        }
        let left = try await administration.image().partitions.map(\.state)
        #expect(left.allSatisfy { !$0.replicas.contains(ReplicaID(1)) && $0.replicas.count == 2 })
        #expect(left.allSatisfy { $0.leader != ReplicaID(1) && $0.leader != nil })
    }

    @Test("what cannot be done is said, and nothing is changed")
    func refusals() async throws {
        try await register(1...2)
        try await createTopic([[1, 2]])
        let before = try await administration.image().revision
        for (arguments, code, text) in [
            (["reassign", "stock", "--to", "7"], 1, "Member 7 is not there now"),
            (["reassign", "stock", "--to", "1,1"], 1, "name each member once"),
            (["reassign", "stock", "--to", "a"], 64, "give numbers"),
            (["reassign", "other", "--to", "1"], 66, "other"),
            (["reassign", "stock", "--partition", "5", "--to", "1"], 66, "5"),
            (["elect", "--topic", "other"], 66, "no topic other"),
            (["add", "9"], 1, "Member 9 is not there now"),
        ] as [([String], Int32, String)] {
            let run = try CommandRun.program(["cluster"] + arguments + ["--cluster", option])
            #expect(run.exitCode == code, "\(arguments): \(run.errors)")
            #expect(run.errors.contains(text), "\(arguments): \(run.errors)")
        }
        #expect(try await administration.image().revision == before)
        let missing = directory.path("none.db")
        let nowhere = try CommandRun.program("cluster", "status", "--cluster", "sqlite:\(missing)")
        #expect(nowhere.exitCode == 66 && !FileManager.default.fileExists(atPath: missing))
        let wrong = try CommandRun.program("cluster", "status", "--cluster", "zookeeper:x")
        #expect(wrong.exitCode == 64)
    }
}
