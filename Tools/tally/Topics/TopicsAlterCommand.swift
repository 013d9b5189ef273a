import ArgumentParser
import Tally

/// `tally topics alter`.
struct TopicsAlterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alter",
        abstract: "Change settings of a topic, or give it more partitions.",
        discussion: """
            Partitions become more and never fewer. A topic whose log holds records with keys, or \
            whose contract (--contract) has a key, is refused more of them: most keys would go \
            elsewhere than their earlier records lie. --allow-key-movement does it all the same. \
            An application that has the directory open calls Engine.alterTopic and \
            Engine.createPartitions instead.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The name of the topic.")
    var topic: String

    @Option(help: "How many partitions it shall have.")
    var partitions: Int?

    @Flag(help: "Give a keyed topic more partitions although most keys move.")
    var allowKeyMovement = false

    @Option(help: "A contract that may say that the topic has keys.")
    var contract: String?

    @Option(name: .long, help: "A setting as name=value, under Kafka's name. Repeatable.")
    var config: [String] = []

    @Option(name: .long, help: "A setting that follows its default again. Repeatable.")
    var reset: [String] = []

    @OptionGroup var data: DataOptions

    func validate() throws {
        if partitions == nil, config.isEmpty, reset.isEmpty {
            throw ValidationError("Say what to change: --partitions, --config or --reset.")
        }
        if let partitions, !(1...TopicLimits.partitionsMax).contains(partitions) {
            throw ValidationError("--partitions wants 1 to \(TopicLimits.partitionsMax).")
        }
        // Names and values are the topic's own affair: only the form is looked at here.
        for setting in config where !setting.contains("=") {
            throw ValidationError("\"\(setting)\" is no setting: write name=value.")
        }
    }

    func run() async throws {
        try data.requireDirectory()
        let found = try DirectoryReader(path: data.data).topic(topic)
        let settings = try TopicConfiguration(settings: config).values
        var wanted = found.configuration
        for name in reset { try wanted.reset(name) }
        for (name, value) in settings { try wanted.set(name, to: value) }
        try wanted.checkTogether()
        try checkPartitions(of: found)
        let (topic, partitions, reset) = (topic, partitions, reset)
        let changes = try await withEngine(at: data.data) { engine in
            let changes =
                settings.isEmpty && reset.isEmpty
                ? [] : try await engine.alterTopic(topic, setting: settings, resetting: reset)
            if let partitions {
                try await engine.createPartitions(ofTopic: topic, count: partitions)
            }
            return changes
        }
        for change in changes {
            let isLater = change.effect == .withNextOpening
            Console.out(
                "\(change.setting.rawValue): \(change.oldValue) -> \(change.newValue)"
                    + (isLater ? ", with the next opening" : ""))
        }
        if let partitions, partitions != found.partitions.count {
            Console.out("partitions: \(found.partitions.count) -> \(partitions)")
        }
        let isSame =
            changes.isEmpty && (partitions ?? found.partitions.count) == found.partitions.count
        if isSame { Console.note("Nothing to do.") }
    }

    /// Refuses before anything is changed.
    private func checkPartitions(of found: TopicDescription) throws {
        guard let partitions else { return }
        let count = found.partitions.count
        guard partitions >= count else {
            throw EngineError.partitionsCannotBeRemoved(
                topic: topic, count: count, requested: partitions)
        }
        guard partitions > count, !allowKeyMovement else { return }
        let stated = try contract.map { try ContractFile.read($0) }?.topics
        let isKeyedByContract = stated?.first { $0.name == topic }?.isKeyed ?? false
        var survey = KeySurvey()
        let isKeyed =
            try isKeyedByContract || survey.hasKeyedRecords(in: found.places(in: data.data))
        guard isKeyed else { return }
        throw CommandFailure(
            KeyMovement.refusal(
                of: topic, from: count, to: partitions,
                because: isKeyedByContract
                    ? "its contract has a key" : "its log holds records with keys"))
    }
}
