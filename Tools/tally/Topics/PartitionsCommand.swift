import ArgumentParser

/// `tally partitions`.
struct PartitionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "partitions", abstract: "Find out how many partitions a topic needs.",
        subcommands: [PartitionsPlanCommand.self])
}
