import ArgumentParser
import Foundation

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
            DemoCommand.self, ImportCommand.self, ExportCommand.self, TopicsCommand.self,
            PartitionsCommand.self,
            ProduceCommand.self, ConsumeCommand.self, InspectCommand.self, RepairCommand.self,
            GroupsCommand.self, ProjectionCommand.self, StockCommand.self, ExplainCommand.self,
            DeadLettersCommand.self, TransactionsCommand.self,
            CompactCommand.self, CompactionCommand.self, ServeCommand.self, ClusterCommand.self,
            FollowCommand.self, PromoteCommand.self, BenchCommand.self,
        ])

    /// Runs the command that the arguments name. What goes wrong is said in one form, and the
    /// exit code tells, whatever found it.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        let known = exitCode(for: error)
        let message = fullMessage(for: error)
        // Help is a result.
        if known == .success { exit(withError: error) }
        if !message.isEmpty {
            let prefix = "Error: "
            let text = message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message
            Console.note("error: \(text)")
        }
        let code = known == .failure ? ExitCodes.code(for: error) : known.rawValue
        Foundation.exit(error is ExitCode ? known.rawValue : code)
    }
}
