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

            --dry-run reads the files without a lock, also beside an application, and changes \
            nothing: it names the groups, and how many partitions each has committed offsets of.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The groups.")
    var groups: [String]

    @Flag(help: "Only say what would be deleted.")
    var dryRun = false

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        // Or the lock would be taken, and state.db be made, for nothing.
        let reader = try GroupsReader(directory: data.data)
        var seen: Set<String> = []
        let groups = groups.filter { seen.insert($0).inserted }
        let stored = try groups.map { try reader.group($0) }
        if dryRun { return Self.tell(stored, reader) }
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

    private static func tell(_ groups: [StoredGroup], _ reader: GroupsReader) {
        for group in groups {
            if reader.state(of: group) == GroupState.empty.rawValue {
                let partitions = Format.count(group.offsets.count, "partition")
                Console.out(
                    "Would delete group \(group.group) with its offsets of \(partitions).")
            } else {
                Console.out(
                    "Would not delete group \(group.group): it may have members, in the "
                        + "application that has the directory open.")
            }
        }
        Console.out("Nothing was done: without --dry-run it is.")
    }
}
