import Foundation
import Tally
import TallyCommand
import TallyTestSupport
import Testing

@Suite("tally export directory", .timeLimit(.minutes(5))) struct ExportDirectoryCommandTests {
    /// The names in a directory, and in its directories, with their contents.
    private func files(_ directory: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: directory) {
            var isDirectory: ObjCBool = false
            let whole = directory + "/" + path
            let isThere = FileManager.default.fileExists(
                atPath: whole, isDirectory: &isDirectory)
            if isThere, !isDirectory.boolValue {
                found[path] = try Data(contentsOf: URL(fileURLWithPath: whole))
            }
        }
        return found
    }

    /// A data directory that holds what Kafka wrote, as a broker leaves it at a stop in order.
    private func fillGolden(_ place: CommandWorkplace) throws {
        try FileManager.default.createDirectory(
            atPath: place.data, withIntermediateDirectories: true)
        var lines: [String] = []
        for name in Golden.names {
            try FileManager.default.copyItem(
                atPath: Golden.partition(name), toPath: place.data + "/\(name)-0")
            // The last snapshot is named by the log end.
            let files = try FileManager.default.contentsOfDirectory(atPath: Golden.partition(name))
            let end = files.filter { $0.hasSuffix(".snapshot") }.compactMap { Int($0.prefix(20)) }
            lines.append("\(name) 0 \(try #require(end.max()))\n")
        }
        for file in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
            try Data("0\n\(lines.count)\n\(lines.joined())".utf8)
                .write(to: URL(fileURLWithPath: place.data + "/" + file))
        }
        try Data(#"{"version":0,"brokerEpoch":-1}"#.utf8)
            .write(to: URL(fileURLWithPath: place.data + "/.kafka_cleanshutdown"))
    }

    private func export(
        _ place: CommandWorkplace, _ target: String, _ more: String...
    ) throws -> CommandRun {
        try place.run(["export", "directory", "--to", target] + more, input: [])
    }

    @Test("what Kafka wrote is given back byte for byte, and nothing of Tally's own lies beside it")
    func golden() async throws {
        let place = try CommandWorkplace()
        try fillGolden(place)
        // Opened, looked through and closed by an engine: indexes were looked at, checkpoints made.
        try await withEngine(at: place.data) { engine in
            let topics = try engine.topics()
            #expect(topics.count == Golden.names.count)
        }
        let target = place.directory.path("kafka-logs")
        let run = try export(place, target)
        #expect(run.exitCode == 0, "\(run)")
        let exported = try files(target)
        for name in Golden.names {
            for (file, bytes) in try files(Golden.partition(name)) {
                #expect(exported["\(name)-0/\(file)"] == bytes, "\(name) \(file)")
            }
        }
        let partitionFiles = Golden.names.reduce(0) { count, name in
            count + ((try? files(Golden.partition(name)).count) ?? 0)
        }
        let others = exported.keys.filter { !$0.contains("/") }.sorted()
        #expect(
            others == [
                ".kafka_cleanshutdown", "log-start-offset-checkpoint", "meta.properties",
                "recovery-point-offset-checkpoint", "replication-offset-checkpoint",
            ])
        #expect(exported.count == partitionFiles + others.count)
        let verified = await CommandRun.inspect(target, "--verify")
        #expect(verified.exitCode == 0, "\(verified)")
    }

    @Test("what Tally wrote opens as what it was, and only the topics that were named are there")
    func own() async throws {
        let place = try CommandWorkplace()
        try await withEngine(at: place.data) { engine in
            try await engine.createTopic(
                "orders", partitions: 3,
                configuration: try TopicConfiguration(["segment.bytes": "2000"]))
            try await engine.createTopic(
                "stock", partitions: 1,
                configuration: try TopicConfiguration(["cleanup.policy": "compact"]))
            try await engine.createTopic("other", partitions: 1)
            let producer = try engine.producer()
            for number in 0..<300 {
                let key = Array("key \(number % 20)".utf8)
                for topic in ["orders", "stock", "other"] {
                    try producer.enqueue(topic: topic, key: key.span.bytes, value: key.span.bytes)
                }
                if number % 10 == 0 { try await producer.flush() }
            }
            try await producer.flush()
            try await engine.deleteRecords(ofTopic: "orders", partition: 1, before: Offset(7))
            _ = try await engine.compact(topic: "stock", rolling: true)
        }
        // What recovery keeps, and what a crash of a cleaner leaves, is not Kafka's.
        let strange = place.data + "/orders-0/00000000000000000000.log"
        for ending in [".cut-812", ".cleaned", ".swap", ".deleted"] {
            try Data("x".utf8).write(to: URL(fileURLWithPath: strange + ending))
        }
        let target = place.directory.path("kafka-logs")
        let run = try export(place, target + "/", "--topics", "orders,stock")
        #expect(run.exitCode == 0 && run.output.contains("Topic orders: 3 partitions"), "\(run)")
        let exported = try files(target)
        #expect(!exported.keys.contains { $0.hasPrefix("other") || $0.contains(".log.") })
        #expect(!exported.keys.contains { $0.hasSuffix(".json") || $0.hasPrefix("state.db") })
        for (path, bytes) in exported where path.contains("/") {
            let here = try Data(contentsOf: URL(fileURLWithPath: place.data + "/" + path))
            #expect(here == bytes, "\(path)")
        }
        let checkpoint = String(
            decoding: try #require(exported["log-start-offset-checkpoint"]), as: UTF8.self)
        #expect(checkpoint.contains("orders 1 7\n") && !checkpoint.contains("other"))
        #expect(exported["cleaner-offset-checkpoint"] != nil)
        for file in try FileManager.default.contentsOfDirectory(atPath: place.data + "/orders-0")
        where file.hasPrefix("00000000000000000000.log.") {
            try FileManager.default.removeItem(atPath: place.data + "/orders-0/" + file)
        }
        let topics = ["orders", "stock"]
        let here = try await TopicContents.of(topics, at: place.data)
        let there = try await TopicContents.of(topics, at: target)
        for topic in topics {
            #expect(here[topic]?.id == there[topic]?.id)
            #expect(here[topic]?.partitions == there[topic]?.partitions)
        }
    }

    @Test("with --for it has the ids and the identity of the cluster that is to take it")
    func taker() async throws {
        try await SourceCluster.with { cluster, place in
            try await withEngine(at: place.data) { engine in
                try await engine.createTopic("orders", partitions: 2)
                _ = try await engine.producer().send(key: "k", value: "v", to: "orders")
            }
            let target = place.directory.path("kafka-logs")
            let missing = try export(place, target, "--for", cluster.address)
            #expect(missing.exitCode == 1 && missing.errors.contains("has no topic orders"))
            try await cluster.engine.createTopic("orders", partitions: 2)
            let run = try export(place, target, "--for", cluster.address)
            #expect(run.exitCode == 0, "\(run)")
            let exported = try files(target)
            let id = try cluster.engine.describeTopic("orders").id
            let metadata = String(
                decoding: try #require(exported["orders-1/partition.metadata"]), as: UTF8.self)
            #expect(metadata == "version: 0\ntopic_id: \(id)")
            let mine = try String(
                contentsOfFile: cluster.engine.directory + "/meta.properties", encoding: .utf8)
            let theirs = String(
                decoding: try #require(exported["meta.properties"]), as: UTF8.self)
            func value(_ name: String, _ text: String) -> Substring? {
                text.split(separator: "\n").first { $0.hasPrefix(name) }
            }
            #expect(value("cluster.id", theirs) == value("cluster.id", mine))
            #expect(value("node.id", theirs) == value("node.id", mine))
            #expect(value("directory.id", theirs) != value("directory.id", mine))
        }
    }

    @Test("a directory that was killed is opened first; what is there or in use is refused")
    func refusals() async throws {
        let place = try CommandWorkplace()
        try await withEngine(at: place.data) { engine in
            try await engine.createTopic("orders", partitions: 1)
            _ = try await engine.producer().send(key: "k", value: "v", to: "orders")
            let target = place.directory.path("busy")
            let used = try export(place, target)
            #expect(used.exitCode == 1 && used.errors.contains("in use"), "\(used)")
            #expect(!FileManager.default.fileExists(atPath: target))
        }
        try FileManager.default.removeItem(atPath: place.data + "/.kafka_cleanshutdown")
        let target = place.directory.path("kafka-logs")
        let killed = try export(place, target)
        #expect(killed.exitCode == 0 && killed.errors.contains("closed first"), "\(killed)")
        let twice = try export(place, target)
        #expect(twice.exitCode == 1 && twice.errors.contains("no empty directory"), "\(twice)")
        let unknown = try export(place, place.directory.path("b"), "--topics", "nope")
        #expect(unknown.exitCode == ExitCodes.noInput, "\(unknown)")
        #expect(!FileManager.default.fileExists(atPath: place.directory.path("b")))
        #expect(!FileManager.default.fileExists(atPath: place.directory.path("b.partial")))
    }
}
