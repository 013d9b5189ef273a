package import Tally
import TallyLog
public import TallyReplication

/// What people and programs ask of a cluster, done in its coordination store: by compare-and-swap,
/// again where somebody else came first.
///
/// Thread rule: any task.
public struct ClusterAdministration: Sendable {
    private let store: any CoordinationStore

    /// The administration of the cluster that a store is of.
    public init(_ store: any CoordinationStore) { self.store = store }

    /// What the store says now. Throws ``CoordinationError``, ``ClusterRecordError``.
    package func image() async throws -> ClusterImage {
        try ClusterImage(try await store.read(prefix: ""))
    }

    /// The cluster's id; nil where there is none and none is to be made.
    ///
    /// Throws ``CoordinationError``, ``ClusterRecordError``.
    public func clusterID(creating: Bool) async throws -> String? {
        if let known = try await image().clusterID { return known }
        guard creating else { return nil }
        let record = ClusterRecord(clusterID: TopicID.random().description)
        _ = try await store.commit(
            CoordinationTransaction(
                conditions: [.absent(key: ClusterKeys.cluster)],
                operations: [.put(key: ClusterKeys.cluster, value: record.encoded())]))
        return try await image().clusterID
    }

    /// Changes something, as often as somebody else comes first.
    ///
    /// - Parameter change: what to do, by what the store says; nil for nothing.
    /// Returns the revision behind it.
    @discardableResult
    private func change(
        _ change: (ClusterImage) throws -> Change?
    ) async throws -> CoordinationRevision {
        for _ in 0..<50 {
            let image = try await image()
            guard let wanted = try change(image) else { return image.revision }
            do {
                let outcome = try await store.commit(
                    CoordinationTransaction(
                        conditions: wanted.conditions, operations: wanted.operations))
                if case .success(let revision) = outcome { return revision }
            } catch CoordinationError.outcomeUnknown {
                // Read again: if it was done, nothing is left to do, or a condition says so.
            }
            try await Task.sleep(for: .milliseconds(Int64.random(in: 5...30)))
        }
        throw CoordinationError.unavailable(reason: "others changed the same 50 times")
    }

    private struct Change {
        var conditions: [CoordinationCondition] = []
        var operations: [CoordinationOperation] = []

        mutating func put(_ block: PartitionBlock, _ number: Int32, _ image: ClusterImage) {
            let key = ClusterKeys.partitionBlock(number)
            conditions.append(
                .modified(key: key, revision: image.blocks[number]?.revision ?? .absent))
            operations.append(.put(key: key, value: block.encoded()))
        }
    }

    // MARK: Topics

    /// Creates a topic. Returns its identity.
    ///
    /// - Parameters:
    ///   - count: how many partitions.
    ///   - factor: how many replicas of each; 1 or more.
    ///   - assignment: the members of each partition, preferred leader first; nil: spread evenly.
    ///
    /// Throws ``EngineError/topicExists(name:)``, ``ClusterError``, ``CoordinationError``.
    package func createTopic(
        _ name: String, partitions count: Int, replicationFactor factor: Int,
        assignment: [[ReplicaID]]? = nil, configuration: TopicConfiguration
    ) async throws -> (id: TopicID, revision: CoordinationRevision) {
        guard count <= Self.partitionsMax else { throw EngineError.invalidPartitionCount(count) }
        let id = TopicID.random()
        let revision = try await change { image in
            if let known = image.topics[name] {
                // Done by an attempt whose answer was lost.
                if known.record.id == id.number { return nil }
                throw EngineError.topicExists(name: name)
            }
            let places =
                try assignment.map { try checked($0, image) }
                ?? place(count, factor, image)
            let record = TopicRecord(
                id: id.number, partitionCount: Int32(count), configuration: configuration.values)
            var change = Change()
            change.conditions.append(.absent(key: ClusterKeys.topic(name)))
            change.operations.append(
                .put(key: ClusterKeys.topic(name), value: record.encoded()))
            let records = places.enumerated().map { index, replicas in
                PartitionRecord(
                    topicID: id.number, partition: Int32(index),
                    state: PartitionState(newWith: replicas))
            }
            add(records, to: &change, image)
            return change
        }
        return (id, revision)
    }

    /// A transaction has 128 operations, of 64 partitions each.
    package static let partitionsMax = 100 * PartitionBlock.partitionsMax

    private func place(
        _ count: Int, _ factor: Int, _ image: ClusterImage
    ) throws -> [[ReplicaID]] {
        let members = image.members.values.map { Placement.Member($0.id, rack: $0.rack) }
        let turn = image.blocks.values.reduce(0) { $0 + $1.value.partitions.count }
        let places = Placement(on: members).replicas(
            partitions: count, replicationFactor: factor, first: turn)
        guard let places else {
            throw ClusterError.notEnoughMembers(replicationFactor: factor, alive: members.count)
        }
        return places
    }

    private func checked(
        _ assignment: [[ReplicaID]], _ image: ClusterImage
    ) throws -> [[ReplicaID]] {
        for replicas in assignment { try check(replicas, image) }
        return assignment
    }

    private func check(_ replicas: [ReplicaID], _ image: ClusterImage) throws {
        guard !replicas.isEmpty, Set(replicas).count == replicas.count, replicas.count <= 255 else {
            throw ClusterError.invalidAssignment(replicas)
        }
        for replica in replicas where image.members[replica] == nil {
            throw ClusterError.unknownMember(replica)
        }
    }

    private func add(_ records: [PartitionRecord], to change: inout Change, _ image: ClusterImage) {
        var rest = records[...]
        // The last block first: others are full, or were.
        if let (number, block) = image.blocks.max(by: { $0.key < $1.key }), block.value.room > 0 {
            var next = block.value
            next.partitions += rest.prefix(next.room)
            rest = rest.dropFirst(block.value.room)
            change.put(next, number, image)
        }
        var number = (image.blocks.keys.max() ?? -1) + 1
        while !rest.isEmpty {
            let group = rest.prefix(PartitionBlock.partitionsMax)
            rest = rest.dropFirst(group.count)
            change.put(PartitionBlock(partitions: Array(group)), number, image)
            number += 1
        }
    }

    /// Deletes a topic; members delete their replicas when they hear of it.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``, ``CoordinationError``.
    @discardableResult
    package func deleteTopic(_ name: String) async throws -> CoordinationRevision {
        var wasThere = false
        return try await change { image in
            guard let topic = image.topics[name] else {
                if wasThere { return nil }
                throw EngineError.unknownTopic(name: name, known: image.topics.keys.sorted())
            }
            wasThere = true
            let key = ClusterKeys.topic(name)
            return Change(
                conditions: [.modified(key: key, revision: topic.revision)],
                operations: [.delete(key: key)])
        }
    }

    /// Changes a topic's settings.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)`` and what `body` throws.
    @discardableResult
    package func alterTopic(
        _ name: String, _ body: (inout TopicConfiguration) throws -> Void
    ) async throws -> CoordinationRevision {
        try await change { image in
            guard let topic = image.topics[name] else {
                throw EngineError.unknownTopic(name: name, known: image.topics.keys.sorted())
            }
            var settings = try TopicConfiguration(topic.record.configuration)
            try body(&settings)
            try settings.checkTogether()
            guard settings.values != topic.record.configuration else { return nil }
            var record = topic.record
            record.configuration = settings.values
            let key = ClusterKeys.topic(name)
            return Change(
                conditions: [.modified(key: key, revision: topic.revision)],
                operations: [.put(key: key, value: record.encoded())])
        }
    }

    /// Gives a topic more partitions, with as many replicas as its first.
    ///
    /// Throws ``EngineError``, ``ClusterError``, ``CoordinationError``.
    @discardableResult
    package func createPartitions(
        of name: String, count: Int, assignment: [[ReplicaID]]? = nil
    ) async throws -> CoordinationRevision {
        try await change { image in
            guard let topic = image.topics[name] else {
                throw EngineError.unknownTopic(name: name, known: image.topics.keys.sorted())
            }
            let old = Int(topic.record.partitionCount)
            if count == old { return nil }
            guard count > old else {
                throw EngineError.partitionsCannotBeRemoved(
                    topic: name, count: old, requested: count)
            }
            guard count <= Self.partitionsMax else {
                throw EngineError.invalidPartitionCount(count)
            }
            let factor = image.state(of: name, 0).map { ($0.target ?? $0.replicas).count } ?? 1
            let places =
                try assignment.map { try checked($0, image) }
                ?? place(count - old, factor, image)
            var record = topic.record
            record.partitionCount = Int32(count)
            let key = ClusterKeys.topic(name)
            var change = Change(
                conditions: [.modified(key: key, revision: topic.revision)],
                operations: [.put(key: key, value: record.encoded())])
            let records = places.enumerated().map { index, replicas in
                PartitionRecord(
                    topicID: record.id, partition: Int32(old + index),
                    state: PartitionState(newWith: replicas))
            }
            add(records, to: &change, image)
            return change
        }
    }

    // MARK: Partitions

    /// Changes the states of partitions, a hundred blocks at a time.
    ///
    /// - Parameter next: the state that should follow; nil where nothing should change.
    /// Returns how many have changed.
    @discardableResult
    package func changeStates(
        _ next: (PartitionRecord, ClusterImage) throws -> PartitionState?
    ) async throws -> Int {
        var count = 0
        for number in try await image().blocks.keys.sorted() {
            var changed = 0
            try await change { image in
                guard let block = image.blocks[number]?.value else { return nil }
                var other = block
                changed = 0
                for index in other.partitions.indices {
                    guard let state = try next(other.partitions[index], image) else { continue }
                    other.partitions[index].state = state
                    changed += 1
                }
                guard changed > 0 else { return nil }
                var change = Change()
                change.put(other, number, image)
                return change
            }
            count += changed
        }
        return count
    }

    /// Takes a member out of all in-sync sets in which there are others, and lets one of them lead
    /// what it leads. Nothing that was acknowledged is lost. For the member itself, when it answers
    /// nobody any more: one that is cut off from the store would not hear of it.
    public func handOver(from member: ReplicaID) async throws {
        try await changeStates { record, image in
            Election(live: image.live).leaving(member, record.state)
        }
    }

    /// Begins to move a partition to other members. Returns false where it is there already.
    ///
    /// Throws ``EngineError``, ``ClusterError``, ``CoordinationError``.
    @discardableResult
    package func reassign(
        _ partition: Int32, of topic: String, to target: [ReplicaID]
    ) async throws -> Bool {
        var hasBegun = false
        try await change { image in
            guard let known = image.topics[topic] else {
                throw EngineError.unknownTopic(name: topic, known: image.topics.keys.sorted())
            }
            let id = PartitionID(topicID: known.record.id, partition: partition)
            guard let number = image.block(of: id), var block = image.blocks[number]?.value,
                let index = block.index(topicID: id.topicID, partition: partition)
            else {
                throw EngineError.unknownPartition(
                    topic: topic, partition: partition, count: Int(known.record.partitionCount))
            }
            try check(target, image)
            guard let next = Reassignment.begin(block.partitions[index].state, to: target) else {
                return nil
            }
            hasBegun = true
            block.partitions[index].state = next
            var change = Change()
            change.put(block, number, image)
            return change
        }
        return hasBegun
    }
}
