import ArgumentParser

/// `tally topics`.
struct TopicsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topics",
        abstract: "Create, list, describe, change and delete topics; hold them to contracts.",
        subcommands: [
            TopicsCreateCommand.self, TopicsListCommand.self, TopicsDescribeCommand.self,
            TopicsAlterCommand.self, TopicsConfigureCommand.self, TopicsDeleteCommand.self,
            TopicsApplyCommand.self, TopicsLintCommand.self, TopicsExportCommand.self,
            TopicsMigrateCommand.self, TopicsSkewCommand.self,
        ])
}
