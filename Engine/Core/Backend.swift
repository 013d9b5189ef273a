public import TallyRecords

/// Where an application's records are: an engine of its own process, or a cluster. What is written
/// against a backend goes on unchanged when its data moves from the one to the other.
///
/// ```swift
/// let backend = Backend.embedded(engine)
/// let producer = try backend.producer()
/// _ = try await producer.send(key: "GOT-01:SKU-101", value: "received 12", to: "stock")
/// try await producer.flush()
/// ```
///
/// On a cluster the same names mean the same. What differs: offsets of the same partition come
/// from the cluster, a topic that is not there is told by the record that is sent to it,
/// `delivery.timeout.ms` bounds how often a batch is tried again (`retries` counts for nothing), an
/// aborted transaction does not send what was not sent yet, readers may see a committed one some
/// moments after the commit has returned, and errors that an engine has no word for come as
/// `KafkaError` of the product `TallyKafka`, which also has `Backend.kafka(bootstrap:)`. A copyable
/// handle; any task.
public struct Backend: Sendable {
    private enum Place {
        case engine(Engine)
        case cluster(any RemoteCluster)
    }

    private let place: Place

    /// An engine that is open.
    public static func embedded(_ engine: Engine) -> Backend { Backend(place: .engine(engine)) }

    private init(place: Place) { self.place = place }

    /// A cluster.
    package init(_ cluster: any RemoteCluster) { place = .cluster(cluster) }

    /// The engine; nil for a cluster.
    public var engine: Engine? {
        if case .engine(let engine) = place { engine } else { nil }
    }

    /// A producer. Make one and share it; it needs no closing, but flush it before the backend is
    /// closed.
    ///
    /// A producer of a cluster that is let go of while a transaction is open has it aborted.
    ///
    /// Throws ``EngineError/invalidSetting(name:reason:)``.
    public func producer(
        _ configuration: ProducerConfiguration = ProducerConfiguration()
    ) throws(EngineError) -> Producer {
        switch place {
        case .engine(let engine): return try engine.producer(configuration)
        case .cluster(let cluster):
            try configuration.check()
            return Producer(remote: RemoteProducer(cluster, configuration))
        }
    }

    /// A consumer of these partitions, of any topics, without a group: positions are the caller's
    /// to keep.
    ///
    /// Throws ``EngineError/invalidSetting(name:reason:)`` for settings that make no sense, and on
    /// an engine ``EngineError`` for unknown topics and partitions and for partitions offline. On
    /// a cluster the iteration throws these.
    public func consumer(
        assigning partitions: Set<TopicPartition>,
        _ configuration: ConsumerConfiguration = ConsumerConfiguration()
    ) throws(EngineError) -> Consumer {
        switch place {
        case .engine(let engine):
            return try engine.consumer(assigning: partitions, configuration)
        case .cluster(let cluster):
            try configuration.check()
            guard !partitions.isEmpty else {
                throw .invalidSetting(name: "partitions", reason: "name at least one")
            }
            let readers = RemoteReaders(cluster, configuration)
            readers.add(partitions)
            return Consumer(remote: readers, configuration: configuration)
        }
    }

    /// A member of a consumer group, which reads what the group gives it of these topics.
    ///
    /// Joins at once; what the group has for it comes with the iteration. On a cluster groups speak
    /// the classic protocol, and a topic that is not there yet is waited for.
    ///
    /// Throws ``EngineError/invalidSetting(name:reason:)``; on an engine
    /// ``EngineError/unknownTopic(name:known:)`` and ``EngineError/closed`` too.
    public func consumer(
        group: String, topics: Set<String>,
        _ configuration: GroupConsumerConfiguration = GroupConsumerConfiguration()
    ) throws(EngineError) -> GroupConsumer {
        switch place {
        case .engine(let engine):
            return try engine.consumer(group: group, topics: topics, configuration)
        case .cluster(let cluster):
            try configuration.check()
            guard !group.isEmpty else {
                throw .invalidSetting(name: "group.id", reason: "it cannot be empty")
            }
            return GroupConsumer(
                remote: RemoteMember(cluster, group: group, configuration), group: group,
                topics: topics, configuration: configuration)
        }
    }

    /// The partitions that a topic has now, for whoever reads all of them.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``, ``EngineError/closed``, and what a cluster
    /// has for errors.
    public func partitions(ofTopic name: String) async throws -> Set<TopicPartition> {
        let count =
            switch place {
            case .engine(let engine): try engine.describeTopic(name).partitions.count
            case .cluster(let cluster): try await cluster.describeTopic(name).partitionCount
            }
        return Set((0..<Int32(count)).map { TopicPartition(topic: name, partition: $0) })
    }

    /// Closes the engine; or aborts what transactions of its producers are open on the cluster,
    /// which takes ten seconds at most, and ends the connections to it.
    ///
    /// Throws as ``Engine/close()``.
    public func close() async throws {
        switch place {
        case .engine(let engine): try await engine.close()
        case .cluster(let cluster): await cluster.close()
        }
    }
}
