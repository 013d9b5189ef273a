import ArgumentParser

/// The command line tool: one command a file, and this one, which lists them.
@main
struct TallyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tally",
        abstract: "An embeddable log database in Kafka's format.",
        discussion: """
            Results go to standard output, messages to standard error. Exit codes: 0 done, \
            1 failed or problems found, 64 wrong arguments, 130 interrupted.
            """,
        subcommands: [
            DemoCommand.self, ImportCommand.self, TopicsCommand.self, ProduceCommand.self,
            StockCommand.self, ProjectionCommand.self, DeadLettersCommand.self,
            BenchCommand.self,
        ])
}
