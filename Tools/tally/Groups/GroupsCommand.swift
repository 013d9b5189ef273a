import ArgumentParser

/// `tally groups`.
struct GroupsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groups",
        abstract: "Show consumer groups and their lag, move their offsets, or delete them.",
        subcommands: [
            GroupsListCommand.self, GroupsDescribeCommand.self, GroupsResetOffsetsCommand.self,
            GroupsDeleteCommand.self,
        ])
}
