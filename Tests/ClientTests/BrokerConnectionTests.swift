import Tally
import TallyClient
import TallyServed
import TallyTestSupport
import TallyWire
import Testing

@Suite("A connection to a broker", .timeLimit(.minutes(5))) struct BrokerConnectionTests {
    private func connect(
        _ address: BrokerAddress, _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) async throws -> BrokerConnection {
        var configuration = ClientConfiguration()
        change(&configuration)
        return try await BrokerConnection.connect(to: address, configuration: configuration)
    }

    private func metadata(_ topics: [String]?) -> MetadataRequest {
        var request = MetadataRequest()
        request.topics = topics?.map { name in
            var topic = MetadataRequest.Topic()
            topic.name = name
            return topic
        }
        return request
    }

    private func poll(_ topic: String, waitMilliseconds: Int32) -> FetchRequest {
        var request = FetchRequest()
        request.maxWaitMilliseconds = waitMilliseconds
        request.minBytes = 1
        var wanted = FetchRequest.Topic()
        wanted.topic = topic
        var partition = FetchRequest.Partition()
        partition.partitionMaxBytes = 1 << 20
        wanted.partitions = [partition]
        request.topics = [wanted]
        return request
    }

    // MARK: A real server

    @Test("requests that are sent without waiting get each its own answer")
    func pipelining() async throws {
        try await ServedEngine.with { served in
            let connection = try await connect(served.broker)
            #expect(connection.versions.ranges[.metadata] == MetadataRequest.versions)
            let names = (0..<200).map { "topic-\($0)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names {
                    group.addTask {
                        let answer = try await connection.send(metadata([name]))
                        #expect(answer.topics.map(\.name) == [name])
                        #expect(answer.topics[0].errorCode == .unknownTopicOrPartition)
                    }
                }
                try await group.waitForAll()
            }
            await connection.close()
            #expect(!connection.isOpen)
            let after = try await clientError { try await connection.send(metadata([])) }
            #expect(
                after == .closed(served.broker, reason: "this side has closed it"), "\(after)")
        }
    }

    @Test("a task that is cancelled stops waiting at once, and the answers behind stay in order")
    func cancellation() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("quiet", partitions: 1)
            let connection = try await connect(served.broker)
            let polls = (0..<5).map { _ in
                Task {
                    try await connection.send(
                        poll("quiet", waitMilliseconds: 1000), atMost: 12, waitMilliseconds: 1000)
                }
            }
            try await Task.sleep(for: .milliseconds(50))
            for index in [1, 0, 3] { polls[index].cancel() }
            // Not with the answer, which comes later.
            for index in [0, 1, 3] {
                await #expect(throws: CancellationError.self) { try await polls[index].value }
            }
            let names = try await connection.send(metadata(["quiet"])).topics.map(\.name)
            #expect(names == ["quiet"])
            for index in [2, 4] {
                let answer = try await polls[index].value
                #expect(answer.responses.first?.topic == "quiet")
            }
            #expect(connection.isOpen)
            // Cancelled before it began.
            let late = Task {
                try? await Task.sleep(for: .seconds(60))
                return try await connection.send(metadata([]))
            }
            late.cancel()
            await #expect(throws: CancellationError.self) { try await late.value }
        }
    }

    @Test("a server that stops ends the connection, and everybody who waits is told")
    func serverStops() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("quiet", partitions: 1)
            let connection = try await connect(served.broker)
            let waiting = (0..<3).map { _ in
                Task {
                    try await connection.send(
                        poll("quiet", waitMilliseconds: 60_000), atMost: 12,
                        waitMilliseconds: 60_000)
                }
            }
            try await Task.sleep(for: .milliseconds(100))
            await served.stop()
            var closed = 0
            for task in waiting {
                let error = try await clientError { try await task.value }
                // The one that was at work was answered.
                if case .closed = error { closed += 1 }
                #expect(error == nil || error?.isRetriable == true)
            }
            #expect(closed >= 2)
            #expect(!connection.isOpen)
        }
    }

    // MARK: Nobody there

    @Test("a port that refuses, and a host that nobody knows, are said as such")
    func unreachable() async throws {
        // A port that the system gives to nobody, while other tests come and go on theirs.
        let nobodys = BrokerAddress(host: "127.0.0.1", port: 1)
        let refused = try await clientError { try await connect(nobodys) }
        #expect("\(try #require(refused))".contains("refused"), "\(refused)")
        #expect(refused?.isRetriable == true)
        let unknown = BrokerAddress(host: "no-such-host.invalid", port: 9092)
        let error = try #require(try await clientError { try await connect(unknown) })
        guard case .cannotConnect(unknown, _) = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test("a broker that hangs up before it has said what it knows is no broker")
    func hangUp() async throws {
        let broker = try await ScriptedBroker.start { _ in .close }
        let error = try await clientError { try await connect(broker.address) }
        guard case .closed(broker.address, _) = error else {
            Issue.record("\(error)")
            return
        }
    }

    // MARK: Versions

    @Test("a broker that knows only older versions is asked again in one that it knows")
    func oldBroker() async throws {
        for tellsVersions in [true, false] {
            let broker = try await ScriptedBroker.start { received in
                guard received.start.apiVersion <= (tellsVersions ? 2 : 0) else {
                    let known: [(APIKey, ClosedRange<Int16>)] =
                        tellsVersions ? [(.apiVersions, 0...2)] : []
                    let answer = ScriptedBroker.versions(known, error: .unsupportedVersion)
                    return .answer(
                        try ScriptedBroker.frame(answer, to: received.start, version: 0))
                }
                let known: [(APIKey, ClosedRange<Int16>)] = [
                    (.metadata, 0...5), (.fetch, 0...3), (.produce, 99...120),
                ]
                return .answer(
                    try ScriptedBroker.frame(ScriptedBroker.versions(known), to: received.start))
            }
            let versions = try await connect(broker.address).versions
            #expect(try versions.version(of: MetadataRequest.self) == 5)
            #expect(try versions.version(of: MetadataRequest.self, atMost: 3) == 3)
            // Nothing in common, either way, and nothing at all.
            for outcome in [
                Result { try versions.version(of: FetchRequest.self) },
                Result { try versions.version(of: ProduceRequest.self) },
                Result { try versions.version(of: ListGroupsRequest.self) },
            ] {
                guard case .failure(let error as ClientError) = outcome,
                    case .unsupportedVersion = error
                else {
                    Issue.record("\(outcome)")
                    continue
                }
                #expect(!error.isRetriable)
            }
        }
    }

    // MARK: Answers that are none

    @Test("a broker that does not answer is left after the time that it has")
    func silence() async throws {
        let broker = try await ScriptedBroker.greeting { _ in .nothing }
        let connection = try await connect(broker.address) { $0.requestMilliseconds = 150 }
        async let first = clientError { try await connection.send(metadata(nil)) }
        try await Task.sleep(for: .milliseconds(60))
        async let second = clientError { try await connection.send(metadata(nil)) }
        let expected = ClientError.timedOut(
            broker.address, request: "Metadata", milliseconds: 150)
        #expect(try await first == expected)
        // It waits behind the first.
        #expect(try await second == expected)
        #expect(!connection.isOpen)
    }

    @Test(
        "what is no answer ends the connection with what it is",
        arguments: ["other id", "huge", "negative", "unasked", "cut off", "garbage", "longer"])
    func garbage(kind: String) async throws {
        let broker = try await ScriptedBroker.greeting { received in
            let start = received.start
            var other = start
            other.correlationID += 7
            let frame = try ScriptedBroker.frame(MetadataResponse(), to: start)
            return switch kind {
            case "other id":
                .answer(try ScriptedBroker.frame(MetadataResponse(), to: other))
            case "huge": .send([0x7F, 0xFF, 0xFF, 0xFF] + frame)
            case "negative": .send([0xFF, 0xFF, 0xFF, 0xFE] + frame)
            case "unasked":
                .send([0, 0, 0, UInt8(frame.count)] + frame + [0, 0, 0, 4, 0, 0, 0, 99])
            case "cut off": .sendAndClose([0, 0, 0, 200] + frame)
            case "garbage": .answer(Array(frame.prefix(5)) + [0xAA, 0xBB, 0xCC])
            default: .answer(frame + [0, 0, 0])
            }
        }
        let connection = try await connect(broker.address)
        let error = try await clientError { try await connection.send(metadata([])) }
        switch (kind, error) {
        case ("huge", .answerTooLarge(_, let byteCount, _)): #expect(byteCount == Int(Int32.max))
        case ("cut off", .closed): break
        case ("unasked", nil):
            // The one that was asked for is fine; the next to ask hears of the other.
            let next = try await clientError { try await connection.send(metadata([])) }
            guard case .malformedAnswer = next else {
                Issue.record("\(next)")
                return
            }
        case (_, .malformedAnswer(_, let reason)): #expect(!reason.isEmpty)
        default: Issue.record("\(kind): \(error)")
        }
        // The loop that ends it may be a moment behind.
        for _ in 0..<100 where connection.isOpen { try await Task.sleep(for: .milliseconds(10)) }
        #expect(!connection.isOpen)
    }
}
