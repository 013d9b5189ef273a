import Tally
import TallyContracts

/// What it takes to make a directory's topics match a contract. A value: made first, shown, and
/// then done, or not.
struct ContractPlan: Equatable {
    /// What is to be done about one topic.
    struct Step: Equatable {
        /// A setting that is another one.
        struct Change: Equatable {
            var setting: TopicSetting
            var old: String
            var new: String
        }

        var topic: String
        var isNew = false
        /// Its configuration was lost, and is stated as a whole.
        var isStating = false
        /// What the contract states.
        var configuration = TopicConfiguration()
        var changes: [Change] = []
        var oldPartitions: Int?
        var partitions: Int
        /// Why it cannot be done.
        var refusals: [String] = []
        /// What is not for this engine.
        var notes: [String] = []

        /// Whether there is nothing to do.
        var isSame: Bool {
            !isNew && !isStating && changes.isEmpty && oldPartitions == partitions
        }
    }

    private(set) var steps: [Step] = []
    /// Topics that the contract does not name, and which are left alone.
    private(set) var others: [String] = []

    var isSame: Bool { steps.allSatisfy(\.isSame) }
    var refusals: [String] { steps.flatMap(\.refusals) }

    /// - Parameters:
    ///   - topics: those there are.
    ///   - hasKeyedRecords: whether a topic's log holds such; asked only where it matters.
    ///   - mayMoveKeys: whether keyed topics may get more partitions.
    init(
        _ contract: Contract, topics: [TopicDescription], mayMoveKeys: Bool,
        hasKeyedRecords: (TopicDescription) throws -> Bool
    ) throws {
        let known = Dictionary(uniqueKeysWithValues: topics.map { ($0.name, $0) })
        for topic in contract.topics {
            var step = try Self.step(for: topic, known[topic.name])
            if let found = known[topic.name], step.partitions > found.partitions.count,
                !mayMoveKeys
            {
                let isKeyed = try topic.isKeyed || hasKeyedRecords(found)
                if isKeyed {
                    step.refusals.append(
                        KeyMovement.refusal(
                            of: topic.name, from: found.partitions.count, to: step.partitions,
                            because: topic.isKeyed
                                ? "its contract has a key" : "its log holds records with keys"))
                }
            }
            steps.append(step)
        }
        let named = Set(contract.topics.map(\.name))
        others = known.keys.filter { !named.contains($0) }.sorted()
    }

    private static func step(
        for topic: TopicContract, _ found: TopicDescription?
    ) throws -> Step {
        let oldCount = found?.partitions.count
        var step = Step(
            topic: topic.name, isNew: found == nil, oldPartitions: oldCount,
            partitions: topic.partitions?.value ?? oldCount ?? 0)
        do {
            let (known, foreign) = try topic.configuration()
            step.configuration = known
            for name in foreign {
                step.notes.append(
                    "\(name) is not for an embedded engine, and stays in the contract")
            }
        } catch {
            step.refusals.append("\(error)")
            return step
        }
        if let replicas = topic.replicas, replicas.value > 1 {
            step.notes.append(
                "replicas: \(replicas.value) is for a cluster; one engine keeps one replica")
        }
        guard let found else {
            if step.partitions == 0 {
                step.refusals.append(
                    "\(topic.place): topic \(topic.name) is new, and its number of partitions is "
                        + "not stated: add bindings.kafka.partitions")
            }
            return step
        }
        step.isStating = found.isDiscovered
        for setting in TopicSetting.allCases {
            let old = found.configuration.value(of: setting)
            let new = step.configuration.value(of: setting)
            if !setting.isSame(old, new) {
                step.changes.append(Step.Change(setting: setting, old: old, new: new))
            }
        }
        if step.partitions < found.partitions.count {
            let error = EngineError.partitionsCannotBeRemoved(
                topic: topic.name, count: found.partitions.count, requested: step.partitions)
            step.refusals.append("\(topic.partitions?.place ?? topic.place): \(error)")
        }
        return step
    }

    /// Does it. What was done when an error comes stays done, and applying again goes on.
    func apply(to engine: Engine) async throws {
        for step in steps where !step.isSame {
            if step.isNew {
                try await engine.createTopic(
                    step.topic, partitions: step.partitions, configuration: step.configuration)
                continue
            }
            if step.isStating {
                try await engine.stateConfiguration(ofTopic: step.topic, step.configuration)
            } else if !step.changes.isEmpty {
                let changed = step.changes.map(\.setting.rawValue)
                let stated = step.configuration.values.filter { changed.contains($0.key) }
                try await engine.alterTopic(
                    step.topic, setting: stated,
                    resetting: changed.filter { stated[$0] == nil })
            }
            if step.partitions > step.oldPartitions ?? 0 {
                try await engine.createPartitions(ofTopic: step.topic, count: step.partitions)
            }
        }
    }
}

extension ContractPlan.Step {
    /// The difference for people: `+` is new, `~` changes, `=` is so already.
    var lines: [String] {
        var lines: [String] = []
        if isNew {
            lines.append("+ topic \(topic): \(Format.count(partitions, "partition"))")
            for (name, value) in configuration.values.sorted(by: { $0.key < $1.key }) {
                lines.append("+   \(name): \(value)")
            }
        } else if isSame {
            lines.append("= topic \(topic)")
        } else {
            lines.append("~ topic \(topic)")
            if isStating { lines.append("~   its configuration was lost and is stated again") }
            if let oldPartitions, oldPartitions != partitions {
                lines.append("~   partitions: \(oldPartitions) -> \(partitions)")
            }
            for change in changes {
                let isReset = configuration.values[change.setting.rawValue] == nil
                let isLater = isStating || change.setting.effect == .withNextOpening
                lines.append(
                    "~   \(change.setting.rawValue): \(change.old) -> \(change.new)"
                        + (isReset ? " (the default)" : "")
                        + (isLater ? ", with the next opening" : ""))
            }
        }
        return lines + notes.map { "    note: \($0)" }
    }
}

extension TopicSetting {
    /// Whether two values in force are the same, however they are written.
    fileprivate func isSame(_ first: String, _ second: String) -> Bool {
        if first == second { return true }
        if self == .cleanupPolicy {
            return Set(first.split(separator: ",")) == Set(second.split(separator: ","))
        }
        guard let first = Double(first), let second = Double(second) else { return false }
        return first == second && first.magnitude < 9e15
    }
}
