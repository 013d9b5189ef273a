import Tally
import TallyClient
import TallyWire

/// Topics of a cluster that are copied to a data directory: makes them there, or finds that they
/// are there and the same.
struct TopicCopy: Sendable {
    let cluster: ClusterClient
    let engine: Engine
    /// What `tally.source` says.
    let source: String

    /// Makes sure that a topic is there, as a copy, with as many partitions as it has in the
    /// cluster.
    ///
    /// - Parameter adopt: throws where an ordinary topic that is here has other records than the
    ///   cluster; nil where none that has records may become a copy: they may be its own, and a
    ///   copy that is too far behind begins anew.
    func prepare(
        _ name: String, _ topic: ClusterView.Topic,
        adopt: ((TopicDescription) async throws -> Void)? = nil
    ) async throws {
        let known = try engine.topics().first { $0.name == name }
        guard let known else { return try await create(name, topic) }
        let mark = TopicSetting.source.rawValue
        guard topic.topicID == nil || topic.topicID == known.id else {
            throw CommandFailure(
                "topic \(name) is there already, and is another one than that of \(source): its "
                    + "id is \(known.id) and not \(topic.topicID ?? known.id). Delete it, or use "
                    + "another --data.")
        }
        guard topic.partitionCount >= known.partitions.count else {
            throw CommandFailure(
                "topic \(name) has \(known.partitions.count) partitions here and "
                    + "\(topic.partitionCount) in the cluster: it is no copy of that.")
        }
        if known.configuration.source != source {
            if known.isDiscovered {
                throw EngineError.configurationIsNotStated(topic: name)
            }
            let isOrdinary = known.configuration.source == nil
            if isOrdinary, known.partitions.contains(where: { $0.logStart < $0.logEnd }) {
                guard let adopt else {
                    throw CommandFailure(
                        "topic \(name) is an ordinary one here and no copy: it has records that "
                            + "may be its own. Use another --data, or delete the topic; `tally "
                            + "import kafka` brings what is new, where both have the same records.")
                }
                try await adopt(known)
            }
            try await engine.alterTopic(name, setting: [mark: source])
        }
        if topic.partitionCount > known.partitions.count {
            try await engine.createPartitions(ofTopic: name, count: topic.partitionCount)
        }
    }

    private func create(_ name: String, _ topic: ClusterView.Topic) async throws {
        let settings = try await CopiedSettings.of(name, in: cluster)
        settings.notes.forEach(Console.note)
        var configuration = settings.configuration
        try configuration.set(TopicSetting.source.rawValue, to: source)
        try await engine.createTopic(
            name, id: topic.topicID ?? .random(), partitions: topic.partitionCount,
            configuration: configuration)
    }
}

extension ClusterView.Topic {
    /// Its identity; nil where the cluster has none.
    fileprivate var topicID: TopicID? {
        id == .zero ? nil : TopicID(high: id.high, low: id.low)
    }
}
