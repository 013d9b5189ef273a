import ArgumentParser
import Tally

/// `tally groups list`.
struct GroupsListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the consumer groups, with their total lag.",
        discussion: """
            Takes no lock: an application may have the directory open. Members live in the memory \
            of that application, which notes them some moments after they change. A group is \
            Empty (it has no members, for certain), in the state that was noted, or Unknown where \
            nothing was noted of its generation; members is "?" then. Lag counts offsets between \
            what is committed and the end of the log as the files show it; partitions in which \
            nothing is committed do not count.

            --json prints an object a line: group, state, members (null where unknown), \
            protocolType (null for a group that never had members), generation, partitions (with \
            a committed offset), lag, emptySince.

            \(ExitCodes.discussion)
            """)

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let reader = try GroupsReader(directory: data.data)
            guard !reader.groups.isEmpty else { return try streams.note("There are no groups.") }
            var table = OutputTable([
                .text("group"), .text("state"), .number("members"), .number("generation"),
                .number("partitions"), .number("lag"),
            ])
            for group in reader.groups {
                let state = reader.state(of: group)
                let isEmpty = state == GroupState.empty.rawValue
                let memberCount = isEmpty ? 0 : reader.members(of: group)?.members.count
                let lag = reader.lags(of: group).total
                let metadata = group.metadata
                try table.add(
                    [
                        group.group, state, memberCount.map(\.grouped) ?? "?",
                        "\(metadata.generation)",
                        group.offsets.count.grouped, lag.grouped,
                    ],
                    orJSON: { line in
                        line.field("group", group.group)
                        line.field("state", state)
                        line.field("members", orNull: memberCount)
                        line.field("protocolType", orNull: metadata.protocolType)
                        line.field("generation", metadata.generation)
                        line.field("partitions", group.offsets.count)
                        line.field("lag", lag)
                        line.field(
                            "emptySince", orNull: metadata.emptySince.map { OutputTime.text($0) })
                    }, rows, to: streams.output)
            }
            try table.flush(to: streams.output)
        }
    }
}
