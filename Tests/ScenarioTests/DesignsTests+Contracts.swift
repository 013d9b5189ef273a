import Foundation
import Tally
import TallyContracts
import TallyTestSupport
import Testing

/// The contracts of the gallery, and the page that explains them.
@Suite("The contracts of the gallery", .timeLimit(.minutes(10)))
struct DesignContractsTests {
    static let names = [
        "payments", "ride-sharing", "retail-inventory", "social-feed", "video-streaming",
        "microblog", "food-delivery", "shop",
    ]

    private func contract(_ name: String) throws -> Contract {
        let text = String(decoding: try Fixtures.bytes("designs/\(name).yaml"), as: UTF8.self)
        return try Contract(yaml: text, file: "\(name).yaml")
    }

    @Test("every contract of the folder is named here, and every design has one")
    func isNamed() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Fixtures.path("designs"))
        #expect(Set(files) == Set(Self.names.map { "\($0).yaml" } + ["README.md"]))
        for design in Design.gallery {
            let topics = try contract(design.contract).topics.map(\.name)
            #expect(topics.contains(design.topic), "\(design.testDescription)")
        }
    }

    @Test(
        "lint finds nothing, and applying makes what it says; a second time there is no work",
        arguments: names)
    func lintAndApply(_ name: String) throws {
        let path = DesignEngine.path(of: name)
        let lint = try TallyProgram.run(["topics", "lint", path])
        #expect(lint.exitCode == 0 && lint.output.contains("no findings"), "\(lint.output)")
        let directory = try TemporaryDirectory()
        let arguments = ["topics", "apply", path, "--data", directory.path]
        let applied = try TallyProgram.run(arguments)
        #expect(applied.exitCode == 0, "\(applied.output)")
        for topic in try contract(name).topics {
            let count = try #require(topic.partitions).value
            #expect(applied.output.contains("+ topic \(topic.name): \(count) partitions"))
        }
        let again = try TallyProgram.run(arguments)
        #expect(again.exitCode == 0 && again.output.contains("Nothing to do"), "\(again.output)")
    }

    /// The commands that the page shows for a contract: behind a heading that links to it, lines
    /// that are indented and end with `# topic`.
    private func plans(of name: String) throws -> [String: [String]] {
        let page = String(decoding: try Fixtures.bytes("designs/README.md"), as: UTF8.self)
        let section = try #require(
            page.components(separatedBy: "\n## " as String).first {
                $0.contains("](\(name).yaml)")
            },
            "README.md has no section for \(name).yaml")
        var plans: [String: [String]] = [:]
        for line in section.split(separator: "\n") where line.hasPrefix("    tally partitions") {
            let parts = line.split(separator: "#").map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(parts.count == 2, "\(line)")
            plans[parts[1]] = parts[0].split(separator: " ").dropFirst().map { String($0) }
        }
        return plans
    }

    @Test("the partitions and their reason are what the page's arithmetic gives", arguments: names)
    func arithmetic(_ name: String) throws {
        let plans = try plans(of: name)
        let topics = try contract(name).topics
        #expect(Set(plans.keys) == Set(topics.map(\.name)))
        for topic in topics {
            let run = try TallyProgram.run(try #require(plans[topic.name]))
            let count = try #require(topic.partitions).value
            #expect(run.exitCode == 0 && run.output.hasPrefix("\(count) partitions,"))
            let reason = try #require(topic.partitionsReason).value
            #expect(run.output.contains("x-tally-partitions-reason: \(reason)\n"), "\(topic.name)")
        }
    }
}
