import ArgumentParser

/// `tally projection`.
struct ProjectionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "projection",
        abstract: "Show or rebuild the inventory projection.",
        subcommands: [ProjectionStatusCommand.self, ProjectionRebuildCommand.self])
}
