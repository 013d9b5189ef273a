import ArgumentParser

/// `tally topics`.
struct TopicsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topics", abstract: "Create, list, describe, configure and delete topics.",
        subcommands: [
            TopicsCreateCommand.self, TopicsListCommand.self, TopicsDescribeCommand.self,
            TopicsConfigureCommand.self, TopicsDeleteCommand.self,
        ])
}
