import ArgumentParser
import Tally
import TallyStateStore

/// `tally groups delete`.
struct GroupsDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Delete consumer groups that have no members, with their offsets.",
        discussion: """
            This cannot be undone; `tally groups reset-offsets G --all-topics --to-current \
            --export` saves a group's offsets first. The directory must not be in use: groups with \
            members are those of an application that has it open, which calls Engine.deleteGroup \
            instead. Where one of several groups does not exist none is deleted.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The groups.")
    var groups: [String]

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        // Or the lock would be taken, and state.db be made, for nothing.
        let reader = try GroupsReader(directory: data.data)
        for group in groups { _ = try reader.group(group) }
        var seen: Set<String> = []
        let groups = groups.filter { seen.insert($0).inserted }
        try await withEngine(at: data.data, isAtRest: true, state: .sqlite) { engine in
            let known = Set(try await engine.groupListings().map(\.group))
            for group in groups where !known.contains(group) {
                throw EngineError.group(.groupIDNotFound(group))
            }
            for group in groups {
                try await engine.deleteGroup(group)
                Console.out("Deleted group \(group).")
            }
        }
    }
}
