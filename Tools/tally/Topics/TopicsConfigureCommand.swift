import ArgumentParser
import Tally

/// `tally topics configure`.
struct TopicsConfigureCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configure",
        abstract: "State the configuration of a topic that was found again.",
        discussion: """
            Where topics.json was lost, topics are found by their directories, and nothing of them \
            is retired or compacted until somebody states their configuration, with this command: \
            all settings that are not the defaults. `tally topics describe` says which topics \
            these are. Settings of any other topic are changed with `tally topics alter`.
            """)

    @Argument(help: "The name of the topic.")
    var topic: String

    @Option(name: .long, help: "A setting as name=value, under Kafka's name. Repeatable.")
    var config: [String] = []

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        let configuration = try TopicConfiguration(settings: config)
        let topic = topic
        try await withEngine(at: data.data) { engine in
            try await engine.stateConfiguration(ofTopic: topic, configuration)
        }
        Console.out("Topic \(topic) has its configuration again.")
    }
}
