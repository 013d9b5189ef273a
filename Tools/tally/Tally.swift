import ArgumentParser

@main
struct TallyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tally", abstract: "An embeddable log database in Kafka's format.",
        subcommands: [InspectCommand.self, ConsumeCommand.self])
}
