import TallyTestSupport
import Testing

@testable import Tally

/// Members with a `group.instance.id`, whose places are kept while they restart.
@Suite(.timeLimit(.minutes(10))) struct StaticMemberTests {
    @Test("a partition that is added while the only, static member restarts is read afterwards")
    func partitionAdded() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 2)
        var configuration = GroupConsumerConfiguration()
        configuration.instanceID = "one"
        configuration.reading.reset = .earliest
        for count in [2, 3] {
            if count == 3 { try await engine.createPartitions(ofTopic: "a", count: 3) }
            let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
            let reading = Task { for try await _ in consumer {} }
            #expect(try await eventually { consumer.assignment.count == count })
            try await consumer.close()
            try await reading.value
        }
        try await engine.close()
    }

    @Test("a topic that is created again under its name is read by the group that wants it")
    func topicCreatedAgain() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 2)
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
        let reading = Task { for try await _ in consumer {} }
        #expect(try await eventually { consumer.assignment.count == 2 })
        try await engine.deleteTopic("a")
        #expect(try await eventually { consumer.assignment.isEmpty })
        try await engine.createTopic("a", partitions: 3)
        #expect(try await eventually { consumer.assignment.count == 3 })
        try await consumer.close()
        try await reading.value
        try await engine.close()
    }
}
