import ArgumentParser
import Tally

/// `tally topics delete`.
struct TopicsDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a topic and all its records.")

    @Argument(help: "The name of the topic.")
    var topic: String

    @OptionGroup var data: DataOptions

    func run() async throws {
        let topic = topic
        try data.requireDirectory()
        try await withEngine(at: data.data) { engine in try await engine.deleteTopic(topic) }
        Console.out("Deleted topic \(topic).")
    }
}
