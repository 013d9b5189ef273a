import ArgumentParser

/// `tally import`.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Import a table as inventory events, or topics of a Kafka cluster.",
        discussion: """
            Without a subcommand it imports a table:

            \(ImportTableCommand.helpMessage())
            """,
        subcommands: [ImportTableCommand.self, ImportKafkaCommand.self],
        defaultSubcommand: ImportTableCommand.self)
}
