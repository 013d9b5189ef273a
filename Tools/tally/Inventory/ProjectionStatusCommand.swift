import ArgumentParser
import Tally
import TallyStateStore

/// `tally projection status`.
struct ProjectionStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how far behind the log the projection is, in records and in time.",
        discussion: """
            Works while an application is running. "behind" counts records between the stored \
            position and the end of the log; "age" is how old the last event was when it was \
            committed.
            """)

    @Option(help: "Only this topic.")
    var topic: String?

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            let queries = InventoryQueries(try StateDatabase(readingDirectory: data.data))
            let states = try queries.status(topic: topic)
            let logs = try DirectoryReader(path: data.data)
            guard !states.isEmpty else { return try streams.note("No topic is projected yet.") }
            var table = OutputTable([
                .text("topic"), .number("partition"), .number("position"), .number("log end"),
                .number("behind"), .number("events"), .number("duplicates"),
                .number("dead letters"), .number("age"),
            ])
            for state in states {
                let ends = (try? logs.topic(state.topic))?.partitions ?? []
                try print(state, ends, &table, streams.output)
            }
            try table.flush(to: streams.output)
            if !rows.json { try noteRebuilds(states, streams) }
        }
    }

    private func print(
        _ state: ProjectionStatus, _ ends: [PartitionDescription], _ table: inout OutputTable,
        _ output: Output
    ) throws {
        let known = Dictionary(
            state.partitions.map { ($0.partition, $0) }, uniquingKeysWith: { $1 })
        for end in ends {
            let row = Row(topic: state.topic, end: end, status: known[end.index])
            try table.add(row.cells, orJSON: row.fields, rows, to: output)
        }
    }

    private func noteRebuilds(_ states: [ProjectionStatus], _ streams: CommandStreams) throws {
        for state in states {
            guard let started = state.rebuildStartedAt else { continue }
            try streams.note("A rebuild of \(state.topic) began at \(OutputTime.text(started)).")
        }
    }
}

/// One partition's line.
private struct Row {
    var topic: String
    var end: PartitionDescription
    var status: PartitionStatus?

    var position: Int64 { status?.nextOffset.rawValue ?? end.logStart.rawValue }
    var behind: Int64 { max(end.logEnd.rawValue - position, 0) }

    var cells: [String] {
        [
            topic, "\(end.index)", "\(position)", "\(end.logEnd)", behind.grouped,
            (status?.events ?? 0).grouped, (status?.duplicates ?? 0).grouped,
            (status?.deadLetters ?? 0).grouped,
            status?.lagMilliseconds.map { "\(Format.fixed(Double($0) / 1000, 1)) s" } ?? "-",
        ]
    }

    func fields(_ line: inout JSONLine) {
        line.field("topic", topic)
        line.field("partition", end.index)
        line.field("position", position)
        line.field("logEnd", end.logEnd.rawValue)
        line.field("behind", behind)
        line.field("events", status?.events ?? 0)
        line.field("duplicates", status?.duplicates ?? 0)
        line.field("deadLetters", status?.deadLetters ?? 0)
        line.field("ageMilliseconds", orNull: status?.lagMilliseconds)
        line.field("committedAt", orNull: status.map { OutputTime.text($0.committedAt) })
    }
}
