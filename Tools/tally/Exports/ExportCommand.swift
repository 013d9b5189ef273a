import ArgumentParser

/// `tally export`.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Move on to Apache Kafka: over the network, or as files.",
        subcommands: [ExportKafkaCommand.self, ExportDirectoryCommand.self])
}
