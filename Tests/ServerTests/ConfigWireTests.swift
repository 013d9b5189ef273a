import Tally
import TallyWire
import Testing

@Suite("Configurations over the wire", .timeLimit(.minutes(10)))
struct ConfigWireTests {
    /// What a resource's settings are said to be; nil for all names.
    private func describe(
        _ client: WireClient, _ type: Int8, _ name: String, keys: [String]? = nil
    ) async throws -> DescribeConfigsResponse.Resource {
        var request = DescribeConfigsRequest()
        var resource = DescribeConfigsRequest.Resource()
        (resource.resourceType, resource.resourceName) = (type, name)
        resource.configurationKeys = keys
        request.resources = [resource]
        return try await client.ask(request, version: 4).results[0]
    }

    @Test("settings of topics and of the broker, with where each comes from")
    func described() async throws {
        try await ServedEngine.with(server: { $0.fetchBytesMax = 12_345 }) { served in
            try await served.engine.createTopic(
                "t", partitions: 1, configuration: .init(["retention.ms": "1000"]))
            let client = try await served.connect()
            let all = try await describe(client, 2, "t")
            #expect(all.configs.count == TopicSetting.allCases.count)
            #expect(try await describe(client, 2, "t", keys: []).configs.count == all.configs.count)
            let some = try await describe(client, 2, "t", keys: ["retention.ms", "segment.bytes"])
            let entries = Dictionary(uniqueKeysWithValues: some.configs.map { ($0.name, $0) })
            #expect(entries.count == 2)
            #expect(entries["retention.ms"]?.value == "1000")
            #expect(entries["retention.ms"]?.configSource == 1)
            #expect(entries["segment.bytes"]?.value == "1073741824")
            #expect(entries["segment.bytes"]?.configSource == 5)
            #expect(try await describe(client, 2, "none").errorCode == .unknownTopicOrPartition)
            let node = served.engine.identity.nodeID
            let broker = try await describe(client, 4, "\(node)", keys: ["fetch.max.bytes"])
            #expect(broker.configs.map(\.value) == ["12345"])
            #expect(broker.configs.map(\.isReadOnly) == [true])
            #expect(broker.configs.map(\.configSource) == [4])
            #expect(try await describe(client, 4, "\(node + 1)").errorCode == .invalidRequest)
            #expect(try await describe(client, 8, "x").errorCode == .invalidRequest)
        }
    }

    @Test("settings are changed one by one, and a list by what comes and goes")
    func incremental() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic(
                "t", partitions: 1, configuration: .init(["segment.ms": "7000"]))
            let client = try await served.connect()
            func alter(
                _ name: String, _ operation: Int8, _ value: String?, type: Int8 = 2,
                validateOnly: Bool = false
            ) async throws -> ErrorCode {
                var request = IncrementalAlterConfigsRequest()
                request.validateOnly = validateOnly
                var resource = IncrementalAlterConfigsRequest.Resource()
                (resource.resourceType, resource.resourceName) = (type, "t")
                var entry = IncrementalAlterConfigsRequest.Entry()
                (entry.name, entry.configOperation, entry.value) = (name, operation, value)
                resource.configs = [entry]
                request.resources = [resource]
                return try await client.ask(request, version: 1).responses[0].errorCode
            }
            func values() throws -> [String: String] {
                try served.engine.configuration(of: "t").values
            }
            #expect(try await alter("retention.ms", 0, "5", validateOnly: true) == .none)
            #expect(try values() == ["segment.ms": "7000"])
            #expect(try await alter("retention.ms", 0, "5") == .none)
            #expect(try values() == ["segment.ms": "7000", "retention.ms": "5"])
            #expect(try await alter("retention.ms", 1, nil) == .none)
            #expect(try values() == ["segment.ms": "7000"])
            #expect(try await alter("cleanup.policy", 2, "compact") == .none)
            #expect(try values()["cleanup.policy"] == "delete,compact")
            #expect(try await alter("cleanup.policy", 3, "delete") == .none)
            #expect(try values()["cleanup.policy"] == "compact")
            #expect(try await alter("retention.ms", 2, "5") == .invalidRequest)
            #expect(try await alter("retention.ms", 9, "5") == .invalidRequest)
            #expect(try await alter("retention.ms", 0, "x") == .invalidConfig)
            #expect(try await alter("no.such", 0, "1") == .invalidConfig)
            #expect(try await alter("retention.ms", 0, "5", type: 4) == .invalidRequest)
            #expect(try values() == ["segment.ms": "7000", "cleanup.policy": "compact"])
        }
    }

    @Test("settings that are replaced follow their defaults where they are not named")
    func replaced() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic(
                "t", partitions: 1,
                configuration: .init(["segment.ms": "7000", "retention.ms": "5"]))
            let client = try await served.connect()
            func alter(
                _ values: [String: String], topic: String = "t", validateOnly: Bool = false
            ) async throws -> ErrorCode {
                var request = AlterConfigsRequest()
                request.validateOnly = validateOnly
                var resource = AlterConfigsRequest.Resource()
                (resource.resourceType, resource.resourceName) = (2, topic)
                resource.configs = values.map { name, value in
                    var entry = AlterConfigsRequest.Entry()
                    (entry.name, entry.value) = (name, value)
                    return entry
                }
                request.resources = [resource]
                return try await client.ask(request, version: 2).responses[0].errorCode
            }
            #expect(try await alter(["segment.ms": "8000"], validateOnly: true) == .none)
            #expect(try await alter(["segment.ms": "x"]) == .invalidConfig)
            #expect(try await alter([:], topic: "none") == .unknownTopicOrPartition)
            let before = try served.engine.configuration(of: "t").values
            #expect(before == ["segment.ms": "7000", "retention.ms": "5"])
            #expect(try await alter(["segment.ms": "8000"]) == .none)
            #expect(try served.engine.configuration(of: "t").values == ["segment.ms": "8000"])
        }
    }
}
