import Foundation
import Tally
import TallyTestSupport
import Testing

/// What the README says of moving from Kafka, as it stands there.
@Suite("The README: from Kafka, or from another Tally", .timeLimit(.minutes(5)))
struct ReadmeClusterTests {
    @Test("its commands bring topics over, follow one, and promote it")
    func commands() async throws {
        let readme = String(
            decoding: try Data(
                contentsOf: Fixtures.repositoryURL.appendingPathComponent("README.md")),
            as: UTF8.self)
        let section = try #require(
            readme.components(separatedBy: "\n## ").first { $0.hasPrefix("From Kafka") })
        let commands = section.split(separator: "\n").filter { $0.hasPrefix("tally ") }
        #expect(commands.count == 3)
        try await SourceCluster.with { source, place in
            for name in ["orders", "customers", "payments"] {
                try await source.engine.createTopic(name, partitions: 2)
                try source.append(["one", "two"], to: name, partition: 1)
            }
            let read = TopicPartition(topic: "orders", partition: 1)
            try await source.engine.commitOffsets(
                [read: OffsetToCommit(offset: Offset(1))], ofGroup: "billing")
            for command in commands {
                let words = command.split(separator: " ").dropFirst().map(String.init)
                    .map { $0.replacingOccurrences(of: "kafka:9092", with: source.address) }
                #expect(words.suffix(2) == ["--data", "./tally-data"])
                let running = try RunningCommand(place, words.dropLast(2))
                if words[0] == "follow" {
                    #expect(try await running.waits { running.lines.contains("Caught up") })
                    running.end(by: SIGTERM)
                } else {
                    running.process.waitUntilExit()
                    #expect(running.process.terminationStatus == 0, "\(running.errors)")
                }
            }
            let names = ["orders", "customers", "payments"]
            let copied = try await TopicContents.of(names, at: place.data)
            #expect(copied == (try TopicContents.of(names, in: source.engine)))
            try await withEngine(at: place.data) { engine in
                let committed = try await engine.committedOffsets(ofGroup: "billing")
                #expect(committed[read]?.offset == Offset(1))
                for name in names {
                    #expect(try engine.describeTopic(name).configuration.source == nil)
                }
            }
        }
    }

    @Test("its commands send topics on, over the network and as files")
    func exports() async throws {
        let readme = String(
            decoding: try Data(
                contentsOf: Fixtures.repositoryURL.appendingPathComponent("README.md")),
            as: UTF8.self)
        let section = try #require(
            readme.components(separatedBy: "\n## ").first { $0.hasPrefix("Outgrowing Tally") })
        let commands = section.split(separator: "\n").filter { $0.hasPrefix("tally ") }
        #expect(commands.count == 2)
        try await SourceCluster.with { target, place in
            try await withEngine(at: place.data) { engine in
                for name in ["orders", "customers"] {
                    try await engine.createTopic(name, partitions: 2)
                    _ = try await engine.producer().send(key: "k", value: "v", to: name)
                }
            }
            let copy = place.directory.path("kafka-logs")
            for command in commands {
                let words = command.split(separator: " ").dropFirst().map {
                    String($0).replacing("kafka:9092", with: target.address)
                        .replacing("./kafka-logs", with: copy)
                }
                #expect(words.suffix(2) == ["--data", "./tally-data"])
                let run = try place.run(words.dropLast(2).map { String($0) }, input: [])
                #expect(run.exitCode == 0, "\(run)")
            }
            for name in ["orders", "customers"] {
                let partitions = try target.engine.describeTopic(name).partitions
                #expect(partitions.reduce(0) { $0 + $1.logEnd.rawValue } == 1)
                #expect(FileManager.default.fileExists(atPath: copy + "/\(name)-1"))
            }
        }
    }
}
