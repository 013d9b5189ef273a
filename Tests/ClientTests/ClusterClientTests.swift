import Tally
import TallyClient
import TallyRecords
import TallyServed
import TallyTestSupport
import TallyWire
import Testing

extension MockCluster {
    func cluster(_ change: (inout ClientConfiguration) -> Void = { _ in }) -> ClusterClient {
        var configuration = ClientConfiguration()
        change(&configuration)
        let bootstrap = addresses.compactMap { text -> BrokerAddress? in
            let parts = text.split(separator: ":")
            guard parts.count == 2, let port = Int(parts[1]) else { return nil }
            return BrokerAddress(host: String(parts[0]), port: port)
        }
        return ClusterClient(bootstrap: bootstrap, configuration: configuration)
    }
}

@Suite("A client of a cluster", .timeLimit(.minutes(5))) struct ClusterClientTests {
    @Test("topics are told with their ids and leaders; one that is not there is an error at once")
    func topics() async throws {
        try await ServedEngine.with { served in
            let topic = try await served.engine.createTopic("a", partitions: 3)
            try await served.engine.createTopic("b", partitions: 1)
            let cluster = served.cluster()
            let found = try await cluster.describeTopics(["a"])
            #expect(found.keys.sorted() == ["a"])
            #expect(found["a"]?.partitions.count == 3)
            #expect(found["a"]?.id == WireUUID(topic.id))
            #expect(try await cluster.describeTopics(nil).keys.sorted() == ["a", "b"])
            let began = ContinuousClock.now
            let error = try await clientError { try await cluster.describeTopics(["a", "none"]) }
            #expect(error?.code == .unknownTopicOrPartition)
            #expect("\(try #require(error))".contains("topic none"))
            #expect(ContinuousClock.now - began < .seconds(5))
            await cluster.close()
        }
    }

    @Test("the ends of partitions are asked of whoever leads them")
    func offsets() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("a", partitions: 2)
            try served.engine.append([try batch(["1", "2"]), try batch(["3"])], to: "a")
            try await served.engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(1))
            let cluster = served.cluster()
            let both = Set((0..<2).map { TopicPartition(topic: "a", partition: $0) })
            #expect(
                try await cluster.offsets(of: both, at: .end).mapValues(\.rawValue)
                    == [.init(topic: "a", partition: 0): 3, .init(topic: "a", partition: 1): 0])
            #expect(
                try await cluster.offsets(of: both, at: .logStart).mapValues(\.rawValue)
                    == [.init(topic: "a", partition: 0): 1, .init(topic: "a", partition: 1): 0])
        }
    }

    @Test("where nobody answers it is tried again, until the time is over")
    func givingUp() async throws {
        let gone = try await ScriptedBroker.start { _ in .close }.address
        var configuration = ClientConfiguration()
        configuration.totalMilliseconds = 400
        let cluster = ClusterClient(bootstrap: [gone], configuration: configuration)
        let began = ContinuousClock.now
        let error = try await clientError { try await cluster.describeTopics(nil) }
        guard case .gaveUp(400, let last)? = error, last.isRetriable else {
            Issue.record("\(error)")
            return
        }
        #expect(ContinuousClock.now - began > .milliseconds(100))
        await cluster.close()
        let closed = try await clientError { try await cluster.describeTopics(nil) }
        #expect(closed != nil)
    }

    @Test("a broker that comes back is found again, with the connection that was lost")
    func comesBack() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("a", partitions: 1)
            let cluster = served.cluster()
            _ = try await cluster.describeTopics(["a"])
            await served.stop()
            async let found = cluster.describeTopics(["a"])
            try await Task.sleep(for: .milliseconds(300))
            try await served.start()
            #expect(try await found["a"]?.partitions.count == 1)
        }
    }

    @Test("a cancelled task does not try on")
    func cancelled() async throws {
        let gone = try await ScriptedBroker.start { _ in .close }.address
        let cluster = ClusterClient(bootstrap: [gone])
        let task = Task { try await cluster.describeTopics(nil) }
        try await Task.sleep(for: .milliseconds(150))
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test(
        "leaders are found again where they moved, on any of several brokers",
        .enabled(if: MockCluster.isAvailable))
    func moves() async throws {
        let mock = try MockCluster(brokers: 3, topics: ["t": 4])
        let cluster = mock.cluster()
        for partition in 0..<4 { try mock.tell("leader t \(partition) \(partition % 3 + 1)") }
        let all = Set((0..<4).map { TopicPartition(topic: "t", partition: Int32($0)) })
        #expect(try await cluster.offsets(of: all, at: .end).count == 4)
        #expect(await cluster.currentView.brokers.count == 3)
        for partition in 0..<4 { try mock.tell("leader t \(partition) 2") }
        #expect(try await cluster.offsets(of: all, at: .logStart).count == 4)
        // Of three brokers, one answers still.
        try mock.tell("down 1")
        try mock.tell("down 3")
        #expect(try await cluster.describeTopics(["t"])["t"]?.partitions.count == 4)
        #expect(try await cluster.offsets(of: all, at: .end).count == 4)
        try mock.tell("up 1")
        // Metadata: not ready, and then it is.
        try mock.tell("error 3 5 2")
        #expect(try await cluster.describeTopics(["t"])["t"]?.partitions.count == 4)
        await cluster.close()
    }

    @Test("a group's offsets are asked of its coordinator")
    func coordinator() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("a", partitions: 1)
            try served.engine.append([try batch(["1", "2"])], to: "a")
            let id = TopicPartition(topic: "a", partition: 0)
            try await served.engine.commitOffsets(
                [id: OffsetToCommit(offset: Offset(1))], ofGroup: "g")
            let connection = try await served.cluster().connect(.groupCoordinator("g"))
            var request = OffsetFetchRequest()
            var group = OffsetFetchRequest.Group()
            group.groupID = "g"
            group.topics = nil
            request.groups = [group]
            let answer = try await connection.send(request)
            #expect(answer.groups.first?.topics.first?.partitions.first?.committedOffset == 1)
        }
    }
}
