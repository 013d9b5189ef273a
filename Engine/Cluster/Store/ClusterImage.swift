package import TallyLog
package import TallyReplication

/// A partition of the cluster, by the identity of its topic.
package struct PartitionID: Hashable, Sendable {
    /// The topic, 128 bits.
    package var topicID: UInt128
    /// The partition's number.
    package var partition: Int32

    /// A partition.
    package init(topicID: UInt128, partition: Int32) {
        self.topicID = topicID
        self.partition = partition
    }
}

/// What the coordination store says of the cluster, as it was at one revision. A value.
package struct ClusterImage: Sendable {
    /// A topic as it stands in the store.
    package struct Topic: Hashable, Sendable {
        /// What the store says.
        package var record: TopicRecord
        /// The revision that wrote it.
        package var revision: CoordinationRevision
    }

    /// A block of partitions as it stands in the store.
    package struct Block: Sendable {
        /// What the store says.
        package var value: PartitionBlock
        /// The revision that wrote it.
        package var revision: CoordinationRevision
    }

    /// Who controls, and since when.
    package struct Controller: Hashable, Sendable {
        /// Who.
        package var record: ControllerRecord
        /// The revision by which it became the controller: its fence.
        package var revision: CoordinationRevision
    }

    /// Up to which revision nothing is missing.
    package private(set) var revision = CoordinationRevision.absent
    /// The cluster's id; nil where there is no cluster yet.
    package private(set) var clusterID: String?
    /// The members whose lease has not ended.
    package private(set) var members: [ReplicaID: ClusterMember] = [:]
    /// The revision that registered each of them.
    package private(set) var registrations: [ReplicaID: CoordinationRevision] = [:]
    /// The controller; nil while there is none.
    package private(set) var controller: Controller?
    /// The entry of the last controller's term.
    package private(set) var controllerEpoch: CoordinationEntry?
    /// Topics by name.
    package private(set) var topics: [String: Topic] = [:]
    /// The names of topics, by identity.
    package private(set) var names: [UInt128: String] = [:]
    /// Blocks by number.
    package private(set) var blocks: [Int32: Block] = [:]
    private var places: [PartitionID: Int32] = [:]

    /// Nothing is known.
    package init() {}

    /// What a snapshot says. Throws ``ClusterRecordError``.
    package init(_ snapshot: CoordinationSnapshot) throws(ClusterRecordError) {
        for entry in snapshot.entries { _ = try put(entry) }
        revision = snapshot.revision
    }

    /// Who may lead: the members whose lease has not ended.
    package var live: Set<ReplicaID> { Set(members.keys) }

    /// The state of a partition; nil where there is none.
    package func state(of partition: PartitionID) -> PartitionState? {
        guard let block = places[partition].flatMap({ blocks[$0]?.value }),
            let index = block.index(topicID: partition.topicID, partition: partition.partition)
        else { return nil }
        return block.partitions[index].state
    }

    /// The block in which a partition stands.
    package func block(of partition: PartitionID) -> Int32? { places[partition] }

    /// The state of a topic's partition; nil where there is none.
    package func state(of topic: String, _ partition: Int32) -> PartitionState? {
        guard let id = topics[topic]?.record.id else { return nil }
        return state(of: PartitionID(topicID: id, partition: partition))
    }

    /// Every partition that has a state, in the order of its block.
    package var partitions: [PartitionRecord] {
        blocks.sorted { $0.key < $1.key }.flatMap(\.value.value.partitions)
    }

    // MARK: News

    /// What changes concern.
    package struct News: Sendable {
        /// Topics whose record is another, or gone.
        package var topics: Set<String> = []
        /// Topics that are gone, with the identity they had.
        package var deletedTopics: [String: UInt128] = [:]
        /// Partitions whose state may be another.
        package var partitions: Set<PartitionID> = []
    }

    /// Takes over changes; those that are known already change nothing. Returns what they concern.
    /// Throws ``ClusterRecordError``, and has taken over none then.
    package mutating func learn(
        _ changes: CoordinationChanges
    ) throws(ClusterRecordError) -> News {
        var next = self
        var news = News()
        for change in changes.changes where change.revision > revision {
            switch change {
            case .put(let entry): news.add(try next.put(entry))
            case .delete(let key, _): news.add(next.delete(key))
            }
        }
        next.revision = max(revision, changes.revision)
        self = next
        return news
    }

    private mutating func put(
        _ entry: CoordinationEntry
    ) throws(ClusterRecordError) -> News {
        var news = News()
        let revision = entry.modificationRevision
        if entry.key == ClusterKeys.cluster {
            clusterID = try ClusterRecord(decoding: entry.value).clusterID
        } else if entry.key == ClusterKeys.controller {
            controller = Controller(
                record: try ControllerRecord(decoding: entry.value), revision: revision)
        } else if entry.key == ClusterKeys.controllerEpoch {
            controllerEpoch = entry
        } else if let id = ClusterKeys.memberID(of: entry.key) {
            members[id] = try ClusterMember(decoding: entry.value)
            registrations[id] = revision
        } else if let name = ClusterKeys.topicName(of: entry.key) {
            let record = try TopicRecord(decoding: entry.value)
            news.topics = [name]
            if let old = topics[name], old.record.id != record.id {
                names[old.record.id] = nil
                news.deletedTopics[name] = old.record.id
            }
            topics[name] = Topic(record: record, revision: revision)
            names[record.id] = name
        } else if let number = ClusterKeys.partitionBlockNumber(of: entry.key) {
            let block = try PartitionBlock(decoding: entry.value)
            news.partitions = replace(number, with: Block(value: block, revision: revision))
        }
        return news
    }

    private mutating func delete(_ key: String) -> News {
        var news = News()
        if key == ClusterKeys.controller {
            controller = nil
        } else if let id = ClusterKeys.memberID(of: key) {
            members[id] = nil
            registrations[id] = nil
        } else if let name = ClusterKeys.topicName(of: key) {
            guard let old = topics.removeValue(forKey: name) else { return news }
            names[old.record.id] = nil
            news.topics = [name]
            news.deletedTopics[name] = old.record.id
        } else if let number = ClusterKeys.partitionBlockNumber(of: key) {
            news.partitions = replace(number, with: nil)
        }
        return news
    }

    private mutating func replace(_ number: Int32, with block: Block?) -> Set<PartitionID> {
        var concerned: Set<PartitionID> = []
        for record in blocks[number]?.value.partitions ?? [] {
            places[record.id] = nil
            concerned.insert(record.id)
        }
        blocks[number] = block
        for record in block?.value.partitions ?? [] {
            places[record.id] = number
            concerned.insert(record.id)
        }
        return concerned
    }
}

extension ClusterImage.News {
    fileprivate mutating func add(_ other: Self) {
        topics.formUnion(other.topics)
        partitions.formUnion(other.partitions)
        deletedTopics.merge(other.deletedTopics) { $1 }
    }
}

extension PartitionRecord {
    /// Which partition it is.
    package var id: PartitionID { PartitionID(topicID: topicID, partition: partition) }
}

extension TopicID {
    /// An identity as the coordination store has it.
    package init(_ number: UInt128) {
        self.init(
            high: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
    }

    /// The identity as the coordination store has it.
    package var number: UInt128 { UInt128(high) << 64 | UInt128(low) }
}
