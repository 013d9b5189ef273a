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
            it is retired. Refused are topics with records of transactions, and topics whose keys \
            do not lie where Kafka's partitioner puts them. Positions of groups are not mapped.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The topic.")
    var topic: String

    @Option(name: .customLong("to"), help: "The new topic.")
    var target: String

    @Option(help: "How many partitions the new topic has.")
    var partitions: Int

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
        let report = try await interruptible {
            try await withEngine(at: data, isAtRest: true) { engine in
                try await TopicMigration(
                    engine: engine, source: topic, target: target, partitionCount: partitions
                ).run()
            }
        }
        let kept = report.keptCount
        Console.out(
            "Copied \(Format.count(report.copiedCount, "record")) of topic \(topic) to \(target), "
                + "\(Format.count(partitions, "partition"))"
                + (kept > 0 ? "; \(kept.grouped) were there already" : "")
                + ". Read again, they are the same.")
    }
}
