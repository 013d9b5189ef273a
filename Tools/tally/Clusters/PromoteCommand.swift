import ArgumentParser
import Tally
import TallyStateStore

/// `tally promote`.
struct PromoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Make ordinary topics of copies: they take records of their own from now on.",
        discussion: """
            For topics that `tally follow` has brought, or an import that is not complete. \
            Stop who writes to the cluster first, and let the copy catch up: what is written \
            there later does not come any more. New records get a newer leader epoch than any \
            that was copied. Transactions that were open stay open: `tally transactions` ends \
            them.

            \(ExitCodes.discussion)
            """)

    @Option(help: "The topics, separated by commas.")
    var topics: NameList

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        let names = topics.names
        try await withEngine(at: data.data, state: .sqlite) { engine in
            // All or none: a name that is mistyped is found before anything is changed.
            let found = try names.map { try engine.describeTopic($0) }
            for topic in found {
                guard let source = topic.configuration.source else {
                    Console.note("Topic \(topic.name) is an ordinary one already.")
                    continue
                }
                try await engine.alterTopic(
                    topic.name, resetting: [TopicSetting.source.rawValue])
                Console.out("Topic \(topic.name) follows \(source) no more.")
            }
            for name in names {
                let open = try await engine.openTransactions(of: name)
                guard !open.isEmpty else { continue }
                Console.note(
                    "Topic \(name) has \(Format.count(open.count, "open transaction")): readers "
                        + "of committed records wait for their end. See `tally transactions`.")
            }
        }
    }
}
