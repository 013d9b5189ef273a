import ArgumentParser

/// `tally compaction`.
struct CompactionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compaction",
        abstract: "Tell how far the cleaning of compacted topics has come.",
        subcommands: [CompactionStatusCommand.self])
}
