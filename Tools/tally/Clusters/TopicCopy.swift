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
    func prepare(_ name: String, _ topic: ClusterView.Topic) async throws {
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
