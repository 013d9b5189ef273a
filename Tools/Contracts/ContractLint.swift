extension Contract {
    /// Holds every topic to the checklist; in the document's order. Pure.
    package var findings: [ContractFinding] { topics.flatMap { TopicLint(topic: $0).findings } }
}

/// The checklist for one topic.
private struct TopicLint {
    let topic: TopicContract

    private static let retentionDefault = 604_800_000
    private static let deleteRetentionDefault = 86_400_000
    /// Beyond it a record is better stored elsewhere and named in the log.
    private static let messageBytesMax = 10 << 20
    private static let nameLengthMax = 249

    var findings: [ContractFinding] {
        [
            name, purpose, onePurpose, contents, key, partitionsStated, partitionsJustified,
            recoveryWindow, retention, retentionBytes, tombstones, compaction, latestState,
            compactionKeys, replicas, messageSize,
        ].compactMap { $0 }
    }

    private func finding(
        _ rule: ContractFinding.Rule, _ place: ContractPlace?, _ reason: String, _ remedy: String
    ) -> ContractFinding {
        ContractFinding(
            rule, topic: topic.name, place ?? topic.place, reason: reason, remedy: remedy)
    }

    private func place(of setting: String) -> ContractPlace? { topic.settings[setting]?.place }

    private var isCompacted: Bool { topic.cleanupPolicies.contains("compact") }
    private var isDeleting: Bool { topic.cleanupPolicies.contains("delete") }
    private var window: Int? { topic.recoveryWindowMilliseconds?.value }

    // MARK: What it is

    private var name: ContractFinding? {
        let isValid = topic.name.utf8.allSatisfy { byte in
            switch Character(Unicode.Scalar(byte)) {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": true
            default: false
            }
        }
        let isTaken = ["", ".", ".."].contains(topic.name)
        guard !isValid || isTaken || topic.name.utf8.count > Self.nameLengthMax else { return nil }
        return finding(
            .topicName, nil, "\"\(topic.name)\" cannot be the name of a topic",
            "use 1 to \(Self.nameLengthMax) ASCII letters, digits, dots, underscores and dashes")
    }

    private var purpose: ContractFinding? {
        let words = topic.description?.split(whereSeparator: \.isWhitespace).count ?? 0
        guard words < 3 else { return nil }
        return finding(
            .purposeDescribed, nil,
            words == 0
                ? "nobody can tell what the topic is for"
                : "\"\(topic.description ?? "")\" does not tell what the topic is for",
            "write a description of the channel: what a record means, who writes it and why")
    }

    private var onePurpose: ContractFinding? {
        let keys = topic.messages.map { message in
            message.key.map { $0.value.description ?? $0.value.type ?? "" }
        }
        guard let first = keys.first, keys.contains(where: { $0 != first }) else { return nil }
        let names = topic.messages.map(\.name).joined(separator: ", ")
        return finding(
            .onePurpose, topic.messages.last?.key?.place,
            "the messages (\(names)) have different keys, so they are about different things; "
                + "consumers must read all to get theirs, and retention can suit only one",
            "give each kind of thing its own topic, or one key to all messages")
    }

    private var contents: ContractFinding? {
        guard topic.contents == nil else { return nil }
        return finding(
            .contentsStated, nil,
            "whether each record counts, or only the newest of its key, decides how the topic may "
                + "be cleaned, and is not said",
            "say x-tally-contents: events or x-tally-contents: latest-state")
    }

    private var key: ContractFinding? {
        guard topic.isKeyed else {
            guard topic.keyReason == nil else { return nil }
            return finding(
                .keyDescribed, nil,
                "no message has a key, and records without one have no order among them",
                "describe the key as bindings.kafka.key of the messages, or say with "
                    + "x-tally-key-reason why there is none")
        }
        let vague = topic.messages.compactMap(\.key).first {
            ($0.value.description ?? "").isEmpty || ($0.value.type ?? "").isEmpty
        }
        guard let vague else { return nil }
        return finding(
            .keyDescribed, vague.place,
            "the key decides what stays in order and how load spreads, and its type or its meaning "
                + "is missing",
            "give the key a type and a description: what it identifies")
    }

    // MARK: Partitions and replicas

    private var partitionsStated: ContractFinding? {
        guard topic.partitions == nil else { return nil }
        return finding(
            .partitionsStated, nil,
            "the number of partitions bounds how many consumers can share the work, and cannot be "
                + "raised later without moving keys",
            "state bindings.kafka.partitions; `tally partitions plan` does the arithmetic")
    }

    private var partitionsJustified: ContractFinding? {
        guard let partitions = topic.partitions, topic.partitionsReason == nil else { return nil }
        return finding(
            .partitionsJustified, partitions.place,
            "nobody can tell later whether \(partitions.value) was reckoned or guessed",
            "say in x-tally-partitions-reason which throughput or how many consumers it is for; "
                + "`tally partitions plan` prints such a sentence")
    }

    private var replicas: ContractFinding? {
        let replicas = topic.replicas?.value ?? 1
        let least = topic.number("min.insync.replicas") ?? 1
        let place = place(of: "min.insync.replicas") ?? topic.replicas?.place
        if least > replicas {
            return finding(
                .replicasInSync, place,
                "min.insync.replicas is \(least) and replicas \(replicas): no write with acks=all "
                    + "could ever succeed",
                "state at most one less than the replicas")
        }
        guard replicas > 1 else { return nil }
        if least == replicas {
            return finding(
                .replicasInSync, place,
                "min.insync.replicas and replicas are both \(replicas): one replica that is away "
                    + "stops all writes",
                "state \(replicas - 1) or less")
        }
        guard replicas > 2, least == 1 else { return nil }
        return finding(
            .replicasInSync, place,
            "with min.insync.replicas 1 a record may be acknowledged that one machine alone has, "
                + "and is lost with it, in spite of \(replicas) replicas",
            "state min.insync.replicas: 2")
    }

    // MARK: Keeping and cleaning

    private var recoveryWindow: ContractFinding? {
        guard window == nil else { return nil }
        return finding(
            .recoveryWindowStated, nil,
            "for how long a consumer may be away without missing records is not said, so that no "
                + "retention can be held to it",
            "state x-tally-recovery-window-ms: the longest outage that has to be made up for, "
                + "weekends and holidays included")
    }

    private var retention: ContractFinding? {
        guard isDeleting, let window else { return nil }
        let stated = topic.number("retention.ms")
        let retention = stated ?? Self.retentionDefault
        guard retention >= 0, retention <= window else { return nil }
        return finding(
            .retentionCoversRecovery, place(of: "retention.ms"),
            "retention.ms is \(retention)\(stated == nil ? " (the default)" : ""), and consumers "
                + "may be away for \(window) ms: they would miss records",
            "state a retention.ms well above \(window), or a shorter recovery window")
    }

    private var retentionBytes: ContractFinding? {
        guard isDeleting, window != nil, let bytes = topic.number("retention.bytes"), bytes >= 0
        else { return nil }
        return finding(
            .retentionCoversRecovery, place(of: "retention.bytes"),
            "retention.bytes lets records go by size, however young they are: a busy day shortens "
                + "the recovery window without a word",
            "leave retention.bytes away (-1) and bound the topic by retention.ms; watch the disk")
    }

    private var tombstones: ContractFinding? {
        guard isCompacted, let window else { return nil }
        let stated = topic.number("delete.retention.ms")
        let retention = stated ?? Self.deleteRetentionDefault
        guard retention <= window else { return nil }
        return finding(
            .tombstonesCoverRecovery, place(of: "delete.retention.ms"),
            "delete.retention.ms is \(retention)\(stated == nil ? " (the default)" : ""), and "
                + "consumers may be away for \(window) ms: they would never hear that a key was "
                + "deleted, and keep it for ever",
            "state a delete.retention.ms well above \(window)")
    }

    private var compaction: ContractFinding? {
        guard isCompacted, topic.contents?.value == .events else { return nil }
        return finding(
            .compactionForLatestState, place(of: "cleanup.policy"),
            "compaction keeps the newest record of each key, and of events the earlier ones count "
                + "too: sums over them would be wrong",
            "use cleanup.policy: [delete], and feed a second, compacted topic with the state")
    }

    private var latestState: ContractFinding? {
        guard topic.contents?.value == .latestState, !isCompacted else { return nil }
        return finding(
            .latestStateCompacted, place(of: "cleanup.policy"),
            "a key that did not change within the retention would vanish although it still is so",
            "use cleanup.policy: [compact]")
    }

    private var compactionKeys: ContractFinding? {
        guard isCompacted, !topic.isKeyed else { return nil }
        return finding(
            .compactionNeedsKeys, place(of: "cleanup.policy"),
            "compaction works by keys, and a record without one is refused",
            "describe the key of the messages, or use cleanup.policy: [delete]")
    }

    private var messageSize: ContractFinding? {
        guard let bytes = topic.number("max.message.bytes"), bytes > Self.messageBytesMax else {
            return nil
        }
        return finding(
            .messageSize, place(of: "max.message.bytes"),
            "a batch of \(bytes) bytes has to fit the memory of every producer and consumer at "
                + "once, and holds up the small ones behind it",
            "store large things elsewhere and their name in the record; stay below "
                + "\(Self.messageBytesMax)")
    }
}
