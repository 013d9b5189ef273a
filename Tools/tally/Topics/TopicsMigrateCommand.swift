import ArgumentParser
import Tally

/// `tally topics migrate`.
struct TopicsMigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Copy a topic into a new one with another number of partitions, keys in order.",
        discussion: """
            The controlled way to more partitions of a keyed topic. Stop what writes to the topic; \
            the command holds the directory's lock while it works. Each source partition is copied \
            from its beginning, so that every key's records lie in one partition of the new topic, \
            in their order, with their timestamps and headers; offsets are new. Then point \
            producers and consumers at the new topic: what they write comes behind all that was \
            copied. The source is not touched.

            What was interrupted (Ctrl-C, a crash) goes on when the same command is given again. \
            At the end every partition is read again and compared with what was to be copied; \
            only then the new topic gets the configuration of the old one, until then nothing of \
            it is retired. Of transactions those records are copied that were committed, as \
            records without one. Refused are topics with a transaction that has not ended, and \
            topics whose keys do not lie where Kafka's partitioner puts them.

            Groups that have read the topic get positions in the new one: in front of the first \
            record that they have not read. That is exact for a group that is through with the \
            topic. Another one would read some records again, since records of several old \
            partitions lie one after the other in a new one, and nothing is begun unless \
            --group-offsets says that this may be.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The topic.")
    var topic: String

    @Option(name: .customLong("to"), help: "The new topic.")
    var target: String

    @Option(help: "How many partitions the new topic has.")
    var partitions: Int

    @Option(
        help: """
            exact: refuse where a group would read records again; at-least-once: let it; none: \
            groups begin in the new topic as new ones do.
            """)
    var groupOffsets = MigratedPositions.Policy.exact

    @OptionGroup var data: DataOptions

    func validate() throws {
        if !(1...TopicLimits.partitionsMax).contains(partitions) {
            throw ValidationError("--partitions wants 1 to \(TopicLimits.partitionsMax).")
        }
        if topic == target { throw ValidationError("--to wants another topic.") }
    }

    func run() async throws {
        try data.requireDirectory()
        let (topic, target, partitions, data) = (topic, target, partitions, data.data)
        let found = try DirectoryReader(path: data).topic(topic)
        guard !found.isDiscovered else { throw EngineError.configurationIsNotStated(topic: topic) }
        let policy = groupOffsets
        // A directory without groups gets no state.db by this.
        let hasGroups = try !GroupsReader(directory: data).groups.isEmpty
        let report = try await interruptible {
            try await withEngine(
                at: data, isAtRest: true, state: hasGroups ? .sqlite : .inMemory
            ) { engine in
                try await TopicMigration(
                    engine: engine, source: topic, target: target, partitionCount: partitions,
                    policy: policy
                ).run()
            }
        }
        let kept = report.keptCount
        Console.out(
            "Copied \(Format.count(report.copiedCount, "record")) of topic \(topic) to \(target), "
                + "\(Format.count(partitions, "partition"))"
                + (kept > 0 ? "; \(kept.grouped) were there already" : "")
                + ". Read again, they are the same.")
        guard !report.groups.isEmpty else { return }
        Console.out("Groups with positions in \(target): \(report.groups.joined(separator: ", ")).")
        for (group, count) in report.repeats {
            Console.out("\(group) will read \(Format.count(count, "record")) again.")
        }
    }
}

extension MigratedPositions.Policy: ExpressibleByArgument {}
