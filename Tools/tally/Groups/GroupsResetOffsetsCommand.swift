import ArgumentParser
import Tally
import TallyStateStore

/// `tally groups reset-offsets`.
struct GroupsResetOffsetsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset-offsets",
        abstract: "Move the committed offsets of a consumer group that has no members.",
        discussion: """
            Shows the old and the new offset of each partition, and changes nothing unless \
            --execute is given. Offsets outside of the log are moved to its nearer end, with a \
            note. Which partitions: --all-topics means all partitions of the topics in which the \
            group has committed an offset; --topic T, or --topic T:0,1, may be given more than \
            once; a file names its own. A group that does not exist is made by --execute with \
            --topic or --from-file.

            Looking takes no lock. --execute takes it: the directory must not be in use, since a \
            group with members is one of an application that has it open. That commits with \
            Engine.commitOffsets(_:ofGroup:), which refuses groups with members too. All \
            partitions are changed in one step, or none.

            DATETIME is ISO-8601 (UTC where no zone is given). DURATION is a number and ms, s, m, \
            h or d, or ISO-8601 as PT15M, counted back from now. The CSV of --export and \
            --from-file has a line topic,partition,offset for each partition; lines with a group \
            before them, as Kafka's tool exports for several groups, are read too.

            --json prints an object a line: topic, partition, oldOffset (null where nothing is \
            committed), newOffset, note (or null).

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The group.")
    var group: String

    @OptionGroup var scope: OffsetResetScope
    @OptionGroup var target: OffsetResetTarget

    @Flag(help: "Only show what would change; the default.")
    var dryRun = false

    @Flag(help: "Change the offsets.")
    var execute = false

    @Flag(help: "Print the new offsets as CSV, which --from-file takes. Changes nothing.")
    var export = false

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        let chosen = [dryRun, execute, export].filter { $0 }.count
        if chosen > 1 {
            throw ValidationError("Choose one of --dry-run, --execute and --export.")
        }
        if export, rows.json { throw ValidationError("--export prints CSV: leave --json out.") }
        if group.isEmpty { throw ValidationError("The group's id is empty.") }
        if scope.isGiven == (target.fromFile != nil) {
            throw ValidationError(
                target.fromFile == nil
                    ? "Which partitions? Give --all-topics or --topic."
                    : "--from-file names the partitions: leave --all-topics and --topic out.")
        }
    }

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let wanted = try target.target(of: group, now: .now)
            // Before the lock is taken: what is mistyped is found without touching anything.
            var plan = try planned(wanted)
            if execute {
                plan = try await withEngine(at: data.data, isAtRest: true, state: .sqlite) {
                    // The log may have gone on before the lock was taken.
                    let plan = try planned(wanted)
                    try await $0.commitOffsets(plan.offsets, ofGroup: group)
                    return plan
                }
            }
            try show(plan, streams)
        }
    }

    private func planned(_ wanted: OffsetResetPlan.Target) throws -> OffsetResetPlan {
        let reader = try GroupsReader(directory: data.data)
        let stored = reader.groups.first { $0.group == group }
        var partitions: Set<TopicPartition>
        if case .given(let offsets) = wanted {
            partitions = Set(offsets.keys)
        } else if scope.allTopics {
            let stored = try reader.group(group)
            let topics = Set(stored.offsets.keys.map(\.topic))
            partitions = []
            for topic in reader.topics where topics.contains(topic.name) {
                partitions.formUnion(topic.partitionsNamed)
            }
        } else {
            partitions = try scope.partitions(of: reader.topics)
        }
        guard !partitions.isEmpty else {
            throw CommandFailure("the group \(group) has committed no offsets: name a --topic")
        }
        return try OffsetResetPlan(
            wanted, of: partitions, committed: stored?.offsets ?? [:], topics: reader.topics,
            in: data.data)
    }

    private func show(_ plan: OffsetResetPlan, _ streams: CommandStreams) throws {
        guard !export else {
            for step in plan.steps {
                try streams.output.write(
                    line: OffsetResetFile.line(step.partition, step.new.offset))
            }
            for step in plan.steps {
                guard let note = step.note else { continue }
                try streams.note("note: \(step.partition): \(note)")
            }
            return
        }
        var table = OutputTable([
            .text("topic"), .number("partition"), .number("old offset"), .number("new offset"),
            .text("note"),
        ])
        for step in plan.steps {
            try table.add(step.cells, orJSON: step.fields, rows, to: streams.output)
        }
        try table.flush(to: streams.output)
        try streams.output.flush()
        let changes = plan.steps.filter(\.isChange).count
        let offsets = Format.count(changes, "offset")
        try streams.note(
            execute
                ? "Changed \(offsets) of group \(group)."
                : "\(offsets) of group \(group) would change; nothing was done: --execute does it.")
    }
}

/// Which partitions `reset-offsets` is about.
struct OffsetResetScope: ParsableArguments {
    @Flag(help: "All partitions of the topics in which the group has committed an offset.")
    var allTopics = false

    @Option(
        name: .customLong("topic"),
        help: ArgumentHelp("A topic, or some of its partitions.", valueName: "topic[:0,1]"))
    var topics: [String] = []

    var isGiven: Bool { allTopics || !topics.isEmpty }

    func validate() throws {
        if allTopics, !topics.isEmpty {
            throw ValidationError("Give --all-topics or --topic, not both.")
        }
        for text in topics where Self.parse(text) == nil {
            throw ValidationError(
                "--topic wants a topic, or T:0,1 for some of its partitions, and not '\(text)'.")
        }
    }

    /// The partitions that are named. Throws where there is no such topic or partition.
    func partitions(of known: [TopicDescription]) throws -> Set<TopicPartition> {
        var partitions: Set<TopicPartition> = []
        for (name, numbers) in topics.compactMap({ Self.parse($0) }) {
            guard let topic = known.first(where: { $0.name == name }) else {
                throw EngineError.unknownTopic(name: name, known: known.map(\.name))
            }
            guard let numbers else {
                partitions.formUnion(topic.partitionsNamed)
                continue
            }
            for number in numbers {
                let partition = TopicPartition(topic: name, partition: number)
                guard topic.partitionsNamed.contains(partition) else {
                    throw CommandFailure(
                        "topic \(name) has no partition \(number), but "
                            + "\(Format.count(topic.partitions.count, "partition"))",
                        exitCode: ExitCodes.noInput)
                }
                partitions.insert(partition)
            }
        }
        return partitions
    }

    private static func parse(_ text: String) -> (topic: String, partitions: [Int32]?)? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let topic = parts.first, !topic.isEmpty, parts.count <= 2 else { return nil }
        guard parts.count == 2 else { return (String(topic), nil) }
        let numbers = parts[1].split(separator: ",", omittingEmptySubsequences: false)
            .map { Int32($0) }
        guard numbers.allSatisfy({ $0 ?? -1 >= 0 }) else { return nil }
        return (String(topic), numbers.compactMap { $0 })
    }
}

/// Where `reset-offsets` moves them to.
struct OffsetResetTarget: ParsableArguments {
    @Flag(help: "To the first offset that can be read.")
    var toEarliest = false

    @Flag(help: "To the end of the log.")
    var toLatest = false

    @Flag(help: "To where they are; to the end where nothing is committed.")
    var toCurrent = false

    @Option(help: "To this offset.")
    var toOffset: Int64?

    @Option(help: "To the first record of this time or later; to the end where there is none.")
    var toDatetime: String?

    @Option(help: "To the first record that is not older than this; as --to-datetime.")
    var byDuration: DurationArgument?

    @Option(parsing: .unconditional, help: "So many offsets on; back where it is negative.")
    var shiftBy: Int64?

    @Option(help: "To what a CSV file says.")
    var fromFile: String?

    func validate() throws {
        let chosen = [
            toEarliest, toLatest, toCurrent, toOffset != nil, toDatetime != nil, byDuration != nil,
            shiftBy != nil, fromFile != nil,
        ].filter { $0 }.count
        guard chosen == 1 else {
            throw ValidationError(
                "Where to? Give one of --to-earliest, --to-latest, --to-current, --to-offset, "
                    + "--to-datetime, --by-duration, --shift-by and --from-file.")
        }
        if let toOffset, toOffset < 0 { throw ValidationError("--to-offset cannot be negative.") }
        if let toDatetime, OutputTime.parse(toDatetime) == nil {
            throw ValidationError(
                "--to-datetime wants a time as 2026-01-31T12:00:00Z, and not '\(toDatetime)'.")
        }
    }

    /// The one that was chosen. Reads the file.
    func target(of group: String, now: Timestamp) throws -> OffsetResetPlan.Target {
        if let fromFile { return .given(try OffsetResetFile.read(fromFile, group: group)) }
        if let toOffset { return .offset(toOffset) }
        if let shiftBy { return .shift(shiftBy) }
        if let time = toDatetime.flatMap({ OutputTime.parse($0) }) { return .time(time) }
        if let byDuration {
            let (time, overflow) = now.rawValue.subtractingReportingOverflow(
                byDuration.milliseconds)
            return .time(Timestamp(milliseconds: overflow ? 0 : max(time, 0)))
        }
        if toEarliest { return .earliest }
        return toLatest ? .latest : .current
    }
}

extension TopicDescription {
    /// Its partitions by their names.
    fileprivate var partitionsNamed: Set<TopicPartition> {
        Set(partitions.map { TopicPartition(topic: name, partition: $0.index) })
    }
}

extension OffsetResetPlan.Step {
    fileprivate var cells: [String] {
        [
            partition.topic, "\(partition.partition)", old.map { "\($0.offset)" } ?? "-",
            "\(new.offset)", note ?? "",
        ]
    }

    fileprivate func fields(_ line: inout JSONLine) {
        line.field("topic", partition.topic)
        line.field("partition", partition.partition)
        line.field("oldOffset", orNull: old?.offset.rawValue)
        line.field("newOffset", new.offset.rawValue)
        line.field("note", orNull: note)
    }
}
