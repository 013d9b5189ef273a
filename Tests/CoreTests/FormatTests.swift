import Foundation
import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct FormatTests {
    @Test("the topics.json of FORMAT.md is what is read, and what is written")
    func example() throws {
        let page = Fixtures.repositoryURL.appendingPathComponent("Engine/Core/FORMAT.md")
        let lines = try String(contentsOf: page, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
        let start = try #require(lines.firstIndex(of: "## topics.json"))
        let example = lines[start...].dropFirst(2).prefix { $0.hasPrefix("    ") }
            .map { $0.dropFirst(4) + "\n" }.joined()
        #expect(example.hasPrefix("{\n") && example.hasSuffix("}\n"))
        let directory = try TemporaryDirectory()
        let file = directory.path("topics.json")
        try example.write(toFile: file, atomically: true, encoding: .utf8)
        let fileSystem = PosixFileSystem()
        let catalog = try #require(
            try TopicCatalog.read(from: directory.path, on: fileSystem))
        let topic = try #require(catalog.topics["inventory-events"])
        #expect(topic.partitionCount == 12 && topic.id.description == "Zk3uJcK1TPiZyBq0f5a7Gg")
        #expect(topic.configuration.values == ["compression.type": "lz4", "retention.ms": "-1"])
        #expect(!topic.isDiscovered)
        try FileManager.default.removeItem(atPath: file)
        try catalog.write(to: directory.path, on: fileSystem)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == example)
    }

    @Test(
        "a codec that another build wrote into topics.json stays there", arguments: Codec.allCases)
    func codec(codec: Codec) async throws {
        let directory = try TemporaryDirectory()
        var engine = try await Engine.open(at: directory.path)
        try await engine.createTopic(
            "a", partitions: 1, configuration: try TopicConfiguration(["compression.type": "lz4"]))
        try await engine.close()
        let file = directory.path("topics.json")
        let text = try String(contentsOfFile: file, encoding: .utf8)
            .replacingOccurrences(of: "lz4", with: "\(codec)")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        engine = try await Engine.open(at: directory.path)
        #expect(try engine.configuration(of: "a").compression == codec)
        // Only appending needs the codec.
        do {
            _ = try await engine.producer().send(key: nil, value: "v", to: "a")
            #expect(codec.isSupported)
        } catch {
            #expect(!codec.isSupported && "\(error)".contains(codec.advice), "\(error)")
        }
        try await engine.createTopic("b", partitions: 1)
        try await engine.close()
        #expect(try String(contentsOfFile: file, encoding: .utf8).contains("\"\(codec)\""))
    }

    @Test("every file of a closed data directory is in FORMAT.md")
    func files() async throws {
        let page = Fixtures.repositoryURL.appendingPathComponent("Engine/Core/FORMAT.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("inventory-events", partitions: 1)
        try await engine.close()
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(names.count == 9)
        for name in names { #expect(text.contains("      \(name)")) }
        let mark = try String(
            contentsOfFile: directory.path(".kafka_cleanshutdown"), encoding: .utf8)
        #expect(text.contains("`\(mark)`"))
    }
}
