import Tally
import TallyWire
import Testing

@Suite("Topics over the wire", .timeLimit(.minutes(10)))
struct TopicWireTests {
    private func wanted(
        _ name: String, _ count: Int32 = 2, factor: Int16 = 1, configs: [String: String] = [:],
        assignments: [[Int32]] = []
    ) -> CreateTopicsRequest.Topic {
        var topic = CreateTopicsRequest.Topic()
        (topic.name, topic.partitionCount, topic.replicationFactor) = (name, count, factor)
        topic.configs = configs.map { name, value in
            var entry = CreateTopicsRequest.Entry()
            (entry.name, entry.value) = (name, value)
            return entry
        }
        topic.assignments = assignments.enumerated().map { index, brokers in
            var assignment = CreateTopicsRequest.Assignment()
            (assignment.partitionIndex, assignment.brokerIDs) = (Int32(index), brokers)
            return assignment
        }
        return topic
    }

    @Test("topics are created as they are described, or refused with what is wrong")
    func creation() async throws {
        try await ServedEngine.with(server: { $0.partitionCount = 5 }) { served in
            let client = try await served.connect()
            let node = served.engine.identity.nodeID
            func create(
                _ topics: [CreateTopicsRequest.Topic], validateOnly: Bool = false
            ) async throws -> [CreateTopicsResponse.TopicResult] {
                var request = CreateTopicsRequest()
                (request.topics, request.validateOnly) = (topics, validateOnly)
                return try await client.ask(request, version: 7).topics
            }
            let tried = try await create([wanted("a", 3)], validateOnly: true)[0]
            #expect((tried.errorCode, tried.partitionCount) == (.none, 3))
            #expect(try served.engine.topics().isEmpty, "it was only asked whether it would do")
            let made = try await create([
                wanted("a", 3, configs: ["retention.ms": "1000"]),
                wanted("b", -1, factor: -1), wanted("c", -1, factor: -1, assignments: [[node]]),
            ])
            #expect(made.map(\.errorCode) == [.none, .none, .none])
            #expect(made.map(\.partitionCount) == [3, 5, 1])
            #expect(made.map(\.replicationFactor) == [1, 1, 1])
            #expect(made[0].topicID == WireUUID(try served.engine.describeTopic("a").id))
            #expect(made[0].configs?.map(\.name) == ["retention.ms"])
            #expect(
                try served.engine.configuration(of: "a").value(of: .retentionMilliseconds)
                    == "1000")
            for (topic, code) in [
                (wanted("a"), ErrorCode.topicAlreadyExists),
                (wanted("d/e"), .invalidTopicException), (wanted("d", 0), .invalidPartitions),
                (wanted("d", factor: 3), .invalidReplicationFactor),
                (
                    wanted("d", -1, factor: -1, assignments: [[node + 1]]),
                    .invalidReplicaAssignment
                ),
                (wanted("d", configs: ["retention.ms": "x"]), .invalidConfig),
                (wanted("d", configs: ["no.such": "1"]), .invalidConfig),
            ] {
                for validateOnly in [true, false] {
                    let refused = try await create([topic], validateOnly: validateOnly)[0]
                    #expect(refused.errorCode == code)
                    #expect(refused.errorMessage != nil)
                }
            }
            let twice = try await create([wanted("d"), wanted("d"), wanted("e")])
            #expect(twice.map(\.errorCode) == [.invalidRequest, .invalidRequest, .none])
            #expect(try served.engine.topics().map(\.name) == ["a", "b", "c", "e"])
        }
    }

    @Test("topics are deleted by name and by id")
    func deletion() async throws {
        try await ServedEngine.with { served in
            let client = try await served.connect()
            for name in ["a", "b", "c"] {
                try await served.engine.createTopic(name, partitions: 1)
            }
            var byName = DeleteTopicsRequest()
            byName.topicNames = ["a", "a"]
            let gone = try await client.ask(byName, version: 5).responses
            #expect(gone.map(\.errorCode) == [.none, .unknownTopicOrPartition])
            let id = WireUUID(try served.engine.describeTopic("b").id)
            var byID = DeleteTopicsRequest()
            byID.topics = [id, WireUUID(high: 1, low: 2)].map { id in
                var topic = DeleteTopicsRequest.Topic()
                topic.topicID = id
                return topic
            }
            let deleted = try await client.ask(byID, version: 6).responses
            #expect(deleted.map(\.errorCode) == [.none, .unknownTopicID])
            #expect(deleted[0].name == "b")
            #expect(deleted[0].topicID == id)
            #expect(try served.engine.topics().map(\.name) == ["c"])
        }
    }

    @Test("topics get more partitions, and never fewer")
    func partitions() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            let node = served.engine.identity.nodeID
            func grow(
                _ name: String, to count: Int32, on brokers: [Int32]? = nil,
                validateOnly: Bool = false
            ) async throws -> ErrorCode {
                var request = CreatePartitionsRequest()
                request.validateOnly = validateOnly
                var topic = CreatePartitionsRequest.Topic()
                (topic.name, topic.count) = (name, count)
                topic.assignments = brokers.map { brokers in
                    brokers.map { broker in
                        var assignment = CreatePartitionsRequest.Assignment()
                        assignment.brokerIDs = [broker]
                        return assignment
                    }
                }
                request.topics = [topic]
                let result = try await client.ask(request, version: 3).results[0]
                #expect((result.errorMessage == nil) == (result.errorCode == .none))
                return result.errorCode
            }
            #expect(try await grow("none", to: 3) == .unknownTopicOrPartition)
            for count in Int32(-1)...2 {
                #expect(try await grow("t", to: count) == .invalidPartitions)
            }
            #expect(try await grow("t", to: 4, on: [node]) == .invalidReplicaAssignment)
            #expect(try await grow("t", to: 3, on: [node + 1]) == .invalidReplicaAssignment)
            #expect(try await grow("t", to: 3, validateOnly: true) == .none)
            #expect(try served.engine.partitions(of: "t").count == 2)
            #expect(try await grow("t", to: 3, on: [node]) == .none)
            #expect(try await grow("t", to: 5) == .none)
            #expect(try served.engine.partitions(of: "t").count == 5)
            #expect(try await client.produce(batch(["a"]), to: "t", partition: 4).baseOffset == 0)
        }
    }

    @Test("metadata: all topics, those that are named or have an id, and none")
    func metadata() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("a", partitions: 2)
            try await served.engine.createTopic("b", partitions: 1)
            let client = try await served.connect()
            func ask(
                _ change: (inout MetadataRequest) -> Void, version: Int16 = 12
            ) async throws -> MetadataResponse {
                var request = MetadataRequest()
                change(&request)
                return try await client.ask(request, version: version)
            }
            func named(_ name: String?, _ id: WireUUID = .zero) -> MetadataRequest.Topic {
                var topic = MetadataRequest.Topic()
                (topic.name, topic.topicID) = (name, id)
                return topic
            }
            let all = try await ask { $0.topics = nil }
            #expect(all.topics.map(\.name) == ["a", "b"])
            #expect(try await ask { $0.topics = [] }.topics.isEmpty)
            // Version 0 says it so.
            #expect(try await ask({ $0.topics = [] }, version: 0).topics.count == 2)
            let node = served.engine.identity.nodeID
            #expect(all.controllerID == node)
            #expect(all.clusterID == served.engine.identity.clusterID)
            #expect(all.brokers.map(\.nodeID) == [node])
            #expect(all.brokers.map(\.port) == [Int32(served.address.port)])
            #expect(all.topics[0].partitions.map(\.partitionIndex) == [0, 1])
            #expect(all.topics[0].partitions.allSatisfy { $0.leaderID == node })
            #expect(all.topics[0].partitions.allSatisfy { $0.inSyncReplicaNodes == [node] })
            let description = try served.engine.describeTopic("a")
            let epochs = description.partitions.map(\.leaderEpoch.rawValue)
            #expect(all.topics[0].partitions.map(\.leaderEpoch) == epochs)
            let id = WireUUID(description.id)
            #expect(all.topics[0].topicID == id)
            let unknown = WireUUID(high: 1, low: 2)
            let some = try await ask {
                $0.topics = [
                    named("b"), named("none"), named(nil, id), named(nil, unknown), named("b"),
                ]
            }
            #expect(some.topics.map(\.name) == ["b", "none", "a", nil])
            #expect(
                some.topics.map(\.errorCode)
                    == [.none, .unknownTopicOrPartition, .none, .unknownTopicID])
        }
    }

    @Test("partitions are described page by page, each once")
    func pages() async throws {
        try await ServedEngine.with { served in
            for (name, count) in [("a", 3), ("b", 1), ("c", 4)] {
                try await served.engine.createTopic(name, partitions: count)
            }
            let client = try await served.connect()
            var request = DescribeTopicPartitionsRequest()
            request.responsePartitionLimit = 2
            var seen: [String] = []
            var pages = 0
            repeat {
                let page = try await client.ask(request, version: 0)
                let found = page.topics.flatMap { topic in
                    topic.partitions.map { "\(topic.name ?? "")\($0.partitionIndex)" }
                }
                #expect(found.count <= 2)
                seen += found
                pages += 1
                request.cursor = page.nextCursor
            } while request.cursor != nil && pages < 10
            #expect(seen == ["a0", "a1", "a2", "b0", "c0", "c1", "c2", "c3"])
            var one = DescribeTopicPartitionsRequest()
            one.topics = ["c", "none"].map { name in
                var topic = DescribeTopicPartitionsRequest.Topic()
                topic.name = name
                return topic
            }
            let answer = try await client.ask(one, version: 0)
            #expect(answer.topics.map(\.name) == ["c", "none"])
            #expect(answer.topics.map(\.errorCode) == [.none, .unknownTopicOrPartition])
            #expect(answer.topics.map(\.partitions.count) == [4, 0])
            #expect(answer.nextCursor == nil)
        }
    }

    @Test("directories: where partitions lie, and how large they are")
    func directories() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("a", partitions: 2)
            try await served.engine.createTopic("b", partitions: 1)
            let client = try await served.connect()
            let records = try batch(["x"])
            _ = try await client.produce(records, to: "a", partition: 1)
            func sizes(_ topics: [String: [Int32]]?) async throws -> [String: [Int32: Int64]] {
                var request = DescribeLogDirsRequest()
                request.topics = topics?.map { name, partitions in
                    var topic = DescribeLogDirsRequest.Topic()
                    (topic.name, topic.partitions) = (name, partitions)
                    return topic
                }
                let results = try await client.ask(request, version: 4).results
                #expect(results.map(\.logDirectory) == [served.engine.directory])
                let topics = results[0].topics.map { topic in
                    let sizes = topic.partitions.map { ($0.partitionIndex, $0.partitionSize) }
                    return (topic.name, Dictionary(uniqueKeysWithValues: sizes))
                }
                return Dictionary(uniqueKeysWithValues: topics)
            }
            let size = Int64(records.count)
            #expect(try await sizes(nil) == ["a": [0: 0, 1: size], "b": [0: 0]])
            #expect(try await sizes(["a": [1]]) == ["a": [1: size]])
            #expect(try await sizes(["none": [0]]).isEmpty)
        }
    }
}
