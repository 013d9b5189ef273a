import Tally
import TallyClient

/// A topic in the cluster that one here is exported to: makes it, and keeps the cluster from
/// changing what it is sent until all of it is there. Used by one task.
struct ExportedTopic {
    let topic: TopicDescription
    let cluster: ClusterClient
    /// For people.
    let target: String

    /// Settings while it is filled: nothing goes, nothing is refused for its age, and records keep
    /// their times.
    private static let fillingSettings = [
        "cleanup.policy": "delete", "message.timestamp.type": "CreateTime",
        "retention.bytes": "-1", "retention.ms": "-1",
    ]
    /// Not every Kafka knows these: given where the topic has them, and wide then.
    private static let limits = [
        "message.timestamp.after.max.ms", "message.timestamp.before.max.ms",
    ]

    /// The topic's own settings, as far as they are Kafka's.
    private var settings: [String: String] {
        topic.configuration.values.filter { !$0.key.hasPrefix("tally.") }
    }

    private var filling: [String: String] {
        var filling = settings.merging(Self.fillingSettings) { $1 }
        for name in Self.limits where filling[name] != nil { filling[name] = "\(Int64.max)" }
        return filling
    }

    /// Makes sure that the topic is there with as many partitions as here, and takes records as
    /// they are; notes which one it is.
    func prepare(in notebook: ExportNotebook, replicationFactor: Int) async throws {
        let name = topic.name
        let noted = await notebook.topic(name)
        guard let found = try await cluster.describeTopicOnce(name) else {
            if let noted, noted.partitions.values.contains(where: { $0.last != $0.first }) {
                Console.note(
                    "Topic \(name) was exported to \(target) before, and is not there any more: "
                        + "it is exported anew.")
            }
            // Noted before it is made: its settings are to be given back whatever happens.
            var made = ExportNotes.Topic(sourceID: "\(topic.id)", isCreatedByExport: true)
            try await notebook.begin(name, made)
            made.targetID = try await cluster.createTopic(
                name, partitions: topic.partitions.count, replicationFactor: replicationFactor,
                settings: filling
            ).idText
            return try await notebook.begin(name, made)
        }
        guard found.partitionCount == topic.partitions.count else {
            throw CommandFailure(
                "topic \(name) has \(Format.count(topic.partitions.count, "partition")) here and "
                    + "\(found.partitionCount) in \(target): each key is to stay in its "
                    + "partition. Create it there with as many, or let the export create it")
        }
        guard var noted, noted.targetID == found.idText || noted.isBeingCreated else {
            // What is in it is looked at partition by partition: there must be nothing.
            try await requireTimesKept()
            return try await notebook.begin(
                name,
                ExportNotes.Topic(
                    sourceID: "\(topic.id)", targetID: found.idText, isCreatedByExport: false))
        }
        guard noted.sourceID == "\(topic.id)" else {
            throw CommandFailure(
                "topic \(name) is another one than that which was exported to \(target): it was "
                    + "deleted and created again. Delete the topic there to export this one")
        }
        if noted.isBeingCreated {
            noted.targetID = found.idText
            try await notebook.begin(name, noted)
        }
        if noted.isCreatedByExport {
            try await cluster.alterTopic(name, setting: filling)
        } else {
            try await requireTimesKept()
        }
    }

    /// Refuses a topic that would give records the time of their arrival.
    private func requireTimesKept() async throws {
        let told: [ToldSetting]
        do {
            told = try await cluster.settings(ofTopic: topic.name)
        } catch ClientError.unsupportedVersion {
            return
        }
        guard told.first(where: { $0.name == "message.timestamp.type" })?.value == "LogAppendTime"
        else { return }
        throw CommandFailure(
            "topic \(topic.name) has message.timestamp.type=LogAppendTime in \(target): records "
                + "would lose their times. Set it to CreateTime there until all is exported")
    }

    /// Gives a topic that the export has created its own settings: from now on the cluster may
    /// retire, compact and refuse as they say.
    func release(_ noted: ExportNotes.Topic) async throws {
        guard noted.isCreatedByExport else { return }
        let filled = filling
        let own = settings
        try await cluster.alterTopic(
            topic.name, setting: own.filter { filled[$0.key] != $0.value },
            resetting: filled.keys.filter { own[$0] == nil })
    }
}

extension ClusterView.Topic {
    /// Its identity as Kafka writes it; nil where the cluster has none.
    fileprivate var idText: String? {
        id == .zero ? nil : "\(TopicID(high: id.high, low: id.low))"
    }
}
