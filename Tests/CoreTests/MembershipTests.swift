import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// What members hear when they are taken for dead, restart, or are replaced.
@Suite(.timeLimit(.minutes(10))) struct MembershipTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(partitions: Int) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: partitions)
        return engine
    }

    /// A member, and all that its listener was told.
    private struct Member {
        let consumer: GroupConsumer
        private let log: Log

        private final class Log: Sendable {
            let changes = Mutex<[GroupRebalance]>([])
        }

        init(
            _ engine: Engine, instanceID: String? = nil,
            _ change: (inout GroupConsumerConfiguration) -> Void = { _ in }
        ) throws {
            let log = Log()
            var configuration = GroupConsumerConfiguration()
            configuration.instanceID = instanceID
            configuration.reading.reset = .earliest
            configuration.onRebalance = { _, change in
                log.changes.withLock { $0.append(change) }
            }
            change(&configuration)
            consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
            self.log = log
        }

        var heard: [GroupRebalance] { log.changes.withLock { $0 } }

        /// Asks for more in a task of its own, until it is closed or fails.
        func read() -> Task<Void, any Error> {
            Task { [consumer] in for try await _ in consumer {} }
        }
    }

    private func send(_ value: String, to engine: Engine) async throws {
        _ = try await engine.producer().send(
            ProducerRecord(topic: "a", partition: 0, key: nil as String?, value: value))
    }

    @Test("who was thrown out hears that its partitions are lost when it comes back, and joins")
    func lost() async throws {
        let engine = try await engine(partitions: 1)
        let partition: Set = [TopicPartition(topic: "a", partition: 0)]
        try await send("0", to: engine)
        // Long for a busy machine; one that is busier yet only has it hear more before it hangs.
        let hanging = try Member(engine) { $0.pollIntervalMillisecondsMax = 2_000 }
        var iterator = hanging.consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        #expect(hanging.heard.first == .assigned(partition))
        let before = hanging.heard.count

        // It does not come back for more, and somebody else gets what it had.
        let successor = try Member(engine)
        let reading = successor.read()
        #expect(try await eventually { successor.consumer.assignment == partition })
        #expect(hanging.heard.count == before, "it hears of changes between two elements only")
        await #expect(throws: EngineError.self) { try await hanging.consumer.commit(records) }

        // It comes back: told what it lost, it is a member again, with nothing to read yet.
        let back = hanging.read()
        #expect(try await eventually { hanging.consumer.membership.isStable })
        // Rebalances that changed nothing for it came before and behind.
        let since = hanging.heard.dropFirst(before).filter { $0 != .assigned([]) }
        #expect(since == [.lost(partition)])
        #expect(hanging.consumer.assignment.isEmpty)
        #expect(successor.consumer.assignment == partition)
        try await successor.consumer.close()
        try await reading.value
        #expect(try await eventually { hanging.consumer.assignment == partition })
        #expect(hanging.heard.last == .assigned(partition))
        try await hanging.consumer.close()
        try await back.value
        try await engine.close()
    }

    @Test(
        "a static member that restarts gets its partitions back, and the other hears nothing",
        arguments: ["one", "two"])
    func restart(instanceID: String) async throws {
        let engine = try await engine(partitions: 4)
        var members: [String: Member] = [:]
        var tasks: [String: Task<Void, any Error>] = [:]
        for id in ["one", "two"] {
            let member = try Member(engine, instanceID: id)
            members[id] = member
            tasks[id] = member.read()
            // The first one leads.
            #expect(try await eventually { !member.consumer.assignment.isEmpty })
        }
        let all = Array(members.values)
        #expect(try await eventually { all.allSatisfy { $0.consumer.assignment.count == 2 } })
        #expect(try await eventually { all.allSatisfy { $0.consumer.membership.isStable } })
        let other = try #require(members[instanceID == "one" ? "two" : "one"])
        let stopped = try #require(members[instanceID])
        let generation = other.consumer.generation
        let assignment = (stopped: stopped.consumer.assignment, other: other.consumer.assignment)
        let before = other.heard.count

        try await stopped.consumer.close()
        try await tasks[instanceID]?.value
        let again = try Member(engine, instanceID: instanceID)
        tasks[instanceID] = again.read()
        #expect(try await eventually { again.consumer.assignment == assignment.stopped })
        #expect(try await eventually { again.consumer.membership.isStable })
        #expect(again.heard == [.assigned(assignment.stopped)])
        #expect(other.heard.count == before, "\(other.heard)")
        #expect(other.consumer.assignment == assignment.other)
        #expect(try await engine.describeGroup("g").generation == generation)
        for member in [again, other] { try await member.consumer.close() }
        for task in tasks.values { try await task.value }
        try await engine.close()
    }

    @Test("a second live member with an instance id fences the first, which loses its partitions")
    func fencing() async throws {
        let engine = try await engine(partitions: 2)
        let both = Set([0, 1].map { TopicPartition(topic: "a", partition: $0) })
        let first = try Member(engine, instanceID: "one")
        let reading = first.read()
        #expect(try await eventually { first.consumer.assignment == both })
        let second = try Member(engine, instanceID: "one")
        let after = second.read()
        try #require(try await eventually { first.heard.contains(.lost(both)) })
        await #expect(throws: EngineError.group(.fencedInstanceID("one"))) {
            try await reading.value
        }
        #expect(first.heard == [.assigned(both), .lost(both)])
        #expect(first.consumer.assignment.isEmpty)
        let offsets = Dictionary(
            uniqueKeysWithValues: both.map { ($0, OffsetToCommit(offset: Offset(1))) })
        await #expect(throws: EngineError.self) { try await first.consumer.commit(offsets) }
        // Closing the fenced one takes nothing away from the one that has its place.
        try await first.consumer.close()
        #expect(try await eventually { second.consumer.assignment == both })
        #expect(second.heard == [.assigned(both)])
        try await second.consumer.commit(offsets)
        #expect(try await engine.committedOffsets(ofGroup: "g").count == 2)
        try await second.consumer.close()
        try await after.value
        try await engine.close()
    }
}
