import Foundation
import Tally
import TallyClient
import TallyCommand
import TallyTestSupport
import TallyWire
import Testing

@Suite("tally import kafka", .timeLimit(.minutes(10))) struct ImportKafkaCommandTests {
    /// Two topics with whatever a topic may have: codecs, idempotent producers, transactions of all
    /// ends, a beginning in the middle of a batch, and settings.
    private func fill(_ source: SourceCluster) async throws {
        try await source.engine.createTopic(
            "orders", partitions: 3,
            configuration: try TopicConfiguration([
                "retention.ms": "-1", "segment.bytes": "4000", "cleanup.policy": "compact,delete",
            ]))
        try await source.engine.createTopic("empty", partitions: 2)
        for number in 0..<60 {
            let partition = Int32(number % 3)
            try source.append(
                (0...number % 4).map { "order \(number) \($0)" }, to: "orders",
                partition: partition, codec: number % 5 == 0 ? .lz4 : .none)
            let producer = BatchProducer(
                id: Int64(number % 3), epoch: 0, baseSequence: Int32(number / 3))
            try source.append(
                ["in doubt \(number)"], to: "orders", partition: partition, producer: producer,
                isTransactional: true)
            guard number % 10 != 9, number < 57 else { continue }
            let marker = TransactionMarker(
                didCommit: number % 4 != 0, producerID: producer.id, producerEpoch: 0,
                coordinatorEpoch: 0)
            _ = try source.engine.partition(partition, of: "orders").log.append(marker, now: .now)
        }
        try await source.engine.deleteRecords(ofTopic: "orders", partition: 1, before: Offset(6))
        try source.append(["gone"], to: "empty", partition: 1)
        try await source.engine.deleteRecords(ofTopic: "empty", partition: 1)
        try await source.engine.commitOffsets(
            [
                TopicPartition(topic: "orders", partition: 0): OffsetToCommit(
                    offset: Offset(12), metadata: "half way"),
                TopicPartition(topic: "empty", partition: 1): OffsetToCommit(offset: Offset(1)),
            ], ofGroup: "billing")
    }

    private func run(
        _ source: SourceCluster, _ place: CommandWorkplace, _ more: String...
    ) throws -> CommandRun {
        try place.run(
            ["import", "kafka", "--from", source.address, "--topics", "orders,empty"] + more,
            input: [])
    }

    @Test("topics come as they are: ids, settings, offsets, bytes, and where groups are")
    func everything() async throws {
        try await SourceCluster.with { source, place in
            try await fill(source)
            let run = try run(source, place, "--groups", "billing,nobody")
            #expect(run.exitCode == 0, "\(run)")
            #expect(run.output.contains("Topic orders: 3 partitions"))
            #expect(run.output.contains("Group billing: 2 committed offsets."))
            #expect(run.errors.contains("Group nobody has committed nothing"))
            let expected = try TopicContents.of(["orders", "empty"], in: source.engine)
            try await withEngine(at: place.data) { engine in
                #expect(try TopicContents.of(["orders", "empty"], in: engine) == expected)
                #expect(try engine.describeTopic("orders").configuration.source == nil)
                let (mine, theirs) = (
                    try engine.partition(0, of: "orders").log,
                    try source.engine.partition(0, of: "orders").log
                )
                #expect(try mine.lastStableOffset() == (try theirs.lastStableOffset()))
                let committed = try await engine.committedOffsets(ofGroup: "billing")
                let here = committed[TopicPartition(topic: "orders", partition: 0)]
                #expect(here?.offset == Offset(12) && here?.metadata == "half way")
                #expect(committed.count == 2)
            }
            let verified = await CommandRun.inspect(place.data + "/orders-1", "--verify")
            #expect(verified.exitCode == 0, "\(verified)")
        }
    }

    @Test("given again it brings what is new, and nothing twice; not once the topic is another")
    func again() async throws {
        try await SourceCluster.with { source, place in
            try await fill(source)
            #expect(try run(source, place).exitCode == 0)
            let second = try run(source, place)
            #expect(second.exitCode == 0 && second.output.contains("Imported 0 offsets"))
            try source.append(["later"], to: "orders", partition: 2)
            try await source.engine.createPartitions(ofTopic: "empty", count: 3)
            let third = try run(source, place)
            #expect(third.exitCode == 0 && third.output.contains("Imported 1 offset,"), "\(third)")
            let copied = try await TopicContents.of(["orders", "empty"], at: place.data)
            #expect(copied == (try TopicContents.of(["orders", "empty"], in: source.engine)))

            // Written to at both ends.
            try await withEngine(at: place.data) { engine in
                _ = try await engine.producer().send(
                    ProducerRecord(topic: "orders", partition: 2, key: "here", value: "only here"))
            }
            try source.append(["there"], to: "orders", partition: 2)
            let parted = try run(source, place)
            #expect(parted.exitCode == 1 && parted.errors.contains("no copy"), "\(parted)")
            try await source.engine.deleteTopic("orders")
            try await source.engine.createTopic("orders", partitions: 3)
            let other = try run(source, place)
            #expect(other.exitCode == 1 && other.errors.contains("another one"), "\(other)")
        }
    }

    @Test("what Kafka's own broker wrote comes byte for byte, the gaps of its cleaner too")
    func golden() async throws {
        let names = Golden.names
        try await SourceCluster.with(fill: { directory in
            for name in names {
                try FileManager.default.copyItem(
                    atPath: Golden.partition(name), toPath: directory + "/\(name)-0")
            }
        }) { source, place in
            let run = try place.run(
                "import", "kafka", "--from", source.address, "--topics",
                names.joined(separator: ","))
            #expect(run.exitCode == 0, "\(run)")
            for name in names {
                func bytes(_ directory: String) throws -> Data {
                    let files = try FileManager.default.contentsOfDirectory(atPath: directory)
                    return try files.filter { $0.hasSuffix(".log") }.sorted().reduce(into: Data()) {
                        $0 += try Data(contentsOf: URL(fileURLWithPath: directory + "/" + $1))
                    }
                }
                #expect(try bytes(place.data + "/\(name)-0") == bytes(Golden.partition(name)))
            }
        }
    }

    /// Two topics, one of them with 20 MB in four partitions.
    private func fillLarge(_ source: SourceCluster) async throws {
        try await source.engine.createTopic("orders", partitions: 4)
        try await source.engine.createTopic("empty", partitions: 1)
        let large = String(repeating: "x", count: 100_000)
        for number in 0..<200 {
            try source.append(["\(number) \(large)"], to: "orders", partition: Int32(number % 4))
        }
    }

    private func expectCopy(_ source: SourceCluster, at directory: String) async throws {
        let copied = try await TopicContents.of(["orders", "empty"], at: directory)
        #expect(copied == (try TopicContents.of(["orders", "empty"], in: source.engine)))
    }

    @Test("ended in the middle of a write, it goes on where it was")
    func endedInWrite() async throws {
        try await SourceCluster.with { source, place in
            try await fillLarge(source)
            // The system lets no file grow beyond a limit; more of it comes each time.
            for blocks in [1_000, 3_001, 7_777] {
                let process = Process()
                process.executableURL = URL(fileURLWithPath: "/bin/sh")
                process.arguments = [
                    "-c", "ulimit -c 0; ulimit -f \(blocks); exec \"$0\" \"$@\"",
                    CommandRun.program.path, "import", "kafka", "--from", source.address,
                    "--topics", "orders,empty", "--data", place.data,
                ]
                process.standardError = FileHandle.nullDevice
                try process.run()
                process.waitUntilExit()
                // By a signal (SIGXFSZ), or by an error of the write where that is ignored.
                #expect(process.terminationStatus != 0)
                let half = try await TopicContents.of(["orders"], at: place.data)["orders"]
                #expect((half?.partitions.reduce(0) { $0 + $1.bytes.count } ?? 0) < 20_000_000)
                let refused = try place.run("produce", "orders", input: "k\tv\n")
                #expect(refused.exitCode == 1 && refused.errors.contains("is a copy"))
            }
            let run = try run(source, place)
            #expect(run.exitCode == 0, "\(run)")
            try await expectCopy(source, at: place.data)
        }
    }

    @Test("Ctrl-C ends it in order, and the same command goes on from there")
    func interrupted() async throws {
        try await SourceCluster.with { source, place in
            try await fillLarge(source)
            for delay in stride(from: 20, to: 400, by: 60) {
                let running = try RunningCommand(
                    place, "import", "kafka", "--from", source.address, "--topics",
                    "orders,empty")
                try await Task.sleep(for: .milliseconds(delay))
                let code = running.end(by: SIGINT)
                // It may be through already, or not have begun to listen to signals.
                guard running.process.terminationReason == .exit, code != 0 else { continue }
                #expect(code == 130 && running.errors.contains("goes on from there"))
            }
            #expect(try run(source, place).exitCode == 0)
            try await expectCopy(source, at: place.data)
        }
    }

    @Test("a full disk is said, and there is room again, it goes on", .enabled(if: geteuid() == 0))
    func fullDisk() async throws {
        try await SourceCluster.with { source, place in
            try await fillLarge(source)
            let mount = try TemporaryMount(mebibytes: 48)
            let filler = mount.path + "/filler"
            try Data(count: 32 << 20).write(to: URL(fileURLWithPath: filler))
            let data = mount.path + "/data"
            func attempt() throws -> CommandRun {
                try CommandRun.program(
                    "import", "kafka", "--from", source.address, "--topics", "orders,empty",
                    "--data", data)
            }
            let full = try attempt()
            #expect(full.exitCode == 1 && full.errors.contains("No space left"), "\(full)")
            try FileManager.default.removeItem(atPath: filler)
            let run = try attempt()
            #expect(run.exitCode == 0, "\(run)")
            try await expectCopy(source, at: data)
        }
    }

    @Test("a cluster that goes away in the middle and comes back is gone on with")
    func clusterRestarts() async throws {
        try await SourceCluster.with { source, place in
            try await fill(source)
            let large = String(repeating: "x", count: 500_000)
            for number in 0..<40 { try source.append(["\(number) \(large)"], to: "empty") }
            let running = try RunningCommand(
                place, "import", "kafka", "--from", source.address, "--topics", "orders,empty")
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(150))
                await source.stop()
                try await Task.sleep(for: .milliseconds(150))
                try await source.start()
            }
            #expect(try await running.waits { !running.process.isRunning })
            // It may have come before the first connection.
            if running.process.terminationStatus != 0 {
                #expect(running.errors.contains("no connection"))
                #expect(try run(source, place).exitCode == 0)
            }
            let copied = try await TopicContents.of(["orders", "empty"], at: place.data)
            #expect(copied == (try TopicContents.of(["orders", "empty"], in: source.engine)))
        }
    }

    @Test("what cannot be is said at once: nobody there, no such topic, a directory in use")
    func refusals() async throws {
        try await SourceCluster.with { source, place in
            try await source.engine.createTopic("orders", partitions: 1)
            let began = ContinuousClock.now
            let missing = try run(source, place)
            #expect(missing.exitCode == ExitCodes.noInput && missing.errors.contains("empty"))
            await source.stop()
            let refused = try run(source, place)
            #expect(refused.exitCode == 1 && refused.errors.contains("refused"), "\(refused)")
            let unknown = try place.run(
                "import", "kafka", "--from", "no-such-host.invalid:9092", "--topics", "a")
            #expect(unknown.exitCode == 1 && unknown.errors.contains("no-such-host.invalid"))
            #expect(ContinuousClock.now - began < .seconds(40))
            for wrong in ["nonsense", "a:1,", ":9092", "a:99999"] {
                let run = try place.run("import", "kafka", "--from", wrong, "--topics", "a")
                #expect((run.exitCode == ExitCodes.usage) == (wrong != "a:1,"), "\(wrong)")
            }
            try await source.start()
            try await source.engine.createTopic("empty", partitions: 1)
            try await withEngine(at: place.data) { _ in
                let used = try run(source, place)
                #expect(used.exitCode == 1 && used.errors.contains("in use"), "\(used)")
            }
        }
    }

    @Test(
        "topics of a cluster of several brokers that tells no ids and no settings come too",
        .enabled(if: MockCluster.isAvailable))
    func mockCluster() async throws {
        let mock = try MockCluster(brokers: 3, topics: ["t": 6])
        for partition in 0..<6 { try mock.tell("leader t \(partition) \(partition % 3 + 1)") }
        let bootstrap = mock.addresses.compactMap { text -> BrokerAddress? in
            Int(text.split(separator: ":")[1]).map { BrokerAddress(host: "127.0.0.1", port: $0) }
        }
        let cluster = ClusterClient(bootstrap: bootstrap)
        for number in 0..<30 {
            try await produce(number, to: Int32(number % 6), on: cluster)
        }
        let place = try CommandWorkplace()
        let arguments = [
            "import", "kafka", "--from", mock.addresses.joined(separator: ","), "--topics", "t",
        ]
        let first = try place.run(arguments, input: [])
        #expect(first.exitCode == 0 && first.output.contains("Imported 30 offsets"), "\(first)")
        for number in 30..<42 {
            try await produce(number, to: Int32(number % 6), on: cluster)
        }
        let second = try place.run(arguments, input: [])
        #expect(second.exitCode == 0 && second.output.contains("Imported 12 offsets"), "\(second)")
        let copied = try await TopicContents.of(["t"], at: place.data)["t"]
        #expect(copied?.partitions.map(\.logEnd) == Array(repeating: Offset(7), count: 6))
        await cluster.close()
    }

    private func produce(
        _ number: Int, to partition: Int32, on cluster: ClusterClient
    ) async throws {
        var builder = try RecordBatchBuilder()
        let value = Array("\(number)".utf8)
        try builder.append(key: nil, value: value.rawSpan, timestamp: .now)
        var bytes: [UInt8] = []
        bytes.append(try builder.finish())
        var request = ProduceRequest()
        request.acks = -1
        request.timeoutMilliseconds = 10_000
        var topic = ProduceRequest.Topic()
        topic.name = "t"
        var wanted = ProduceRequest.Partition()
        (wanted.index, wanted.records) = (partition, bytes[...])
        topic.partitions = [wanted]
        request.topics = [topic]
        let id = TopicPartition(topic: "t", partition: partition)
        _ = try await cluster.ask(.leader(id), request, about: "\(id)") { answer in
            let result = answer.responses.first?.partitions.first
            return (result?.errorCode ?? .unknownServerError, result?.errorMessage)
        }
    }
}
