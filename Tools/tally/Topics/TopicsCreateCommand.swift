import ArgumentParser
import Tally

/// `tally topics create`.
struct TopicsCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Create a topic.")

    @Argument(help: "The name of the topic.")
    var topic: String

    @Option(help: "The number of partitions.")
    var partitions: Int

    @Option(name: .long, help: "A setting as name=value, under Kafka's name. Repeatable.")
    var config: [String] = []

    @OptionGroup var data: DataOptions

    func run() async throws {
        let configuration = try TopicConfiguration(settings: config)
        let (topic, partitions) = (topic, partitions)
        let created = try await withEngine(at: data.data) { engine in
            try await engine.createTopic(
                topic, partitions: partitions, configuration: configuration)
        }
        let count = Format.count(created.partitions.count, "partition")
        Console.out("Created topic \(created.name) with \(count).")
    }
}

extension TopicConfiguration {
    /// A configuration from `name=value` arguments.
    init(settings: [String]) throws {
        self.init()
        for setting in settings {
            guard let equals = setting.firstIndex(of: "=") else {
                throw ValidationError("\"\(setting)\" is no setting: write name=value.")
            }
            let name = String(setting[..<equals])
            try set(name, to: String(setting[setting.index(after: equals)...]))
        }
    }
}
