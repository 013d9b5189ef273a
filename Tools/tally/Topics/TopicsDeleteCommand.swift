import ArgumentParser
import Tally
import TallyStateStore

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
        let directory = data.data
        try await withEngine(at: directory) { engine in
            try await engine.deleteTopic(topic)
            // Stock that no log explains would be a wrong number.
            if StateDatabase.exists(in: directory) {
                let state = try StateDatabase(directory: directory)
                try state.forget(topic: topic)
                try state.close()
            }
        }
        Console.out("Deleted topic \(topic), its records, and the stock projected from them.")
    }
}
