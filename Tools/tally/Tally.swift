import ArgumentParser

/// The command line tool: one command a file, and this one, which lists them.
@main
struct TallyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tally",
        abstract: "An embeddable log database in Kafka's format.",
        discussion: """
            Results go to standard output, messages to standard error.

            \(ExitCodes.discussion)
            """,
        subcommands: [
            DemoCommand.self, ImportCommand.self, TopicsCommand.self, ProduceCommand.self,
            ConsumeCommand.self, InspectCommand.self, ProjectionCommand.self, StockCommand.self,
            DeadLettersCommand.self, BenchCommand.self,
        ])
}
