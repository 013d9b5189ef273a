import ArgumentParser

/// `tally transactions`.
struct TransactionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transactions",
        abstract: "Find transactions that nobody ends, and abort them by hand.",
        subcommands: [TransactionsHangingCommand.self, TransactionsAbortCommand.self])
}
