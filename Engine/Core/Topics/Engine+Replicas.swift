import Logging
import Synchronization
import TallyFiles
package import TallyLog
package import TallyRecords

// Topics of a cluster, as its coordination store has them: which partitions have a replica here is
// not for the engine to say.

/// What a member of a cluster keeps of a topic. A value.
package struct ReplicatedTopic: Hashable, Sendable {
    /// The topic's name.
    package var name: String
    /// Its identity.
    package var id: TopicID
    /// How many partitions it has, wherever they are.
    package var partitionCount: Int
    /// What was set for it.
    package var configuration: TopicConfiguration
    /// The partitions that have a replica here.
    package var kept: Set<Int32>

    /// A topic.
    package init(
        name: String, id: TopicID, partitionCount: Int, configuration: TopicConfiguration,
        kept: Set<Int32>
    ) {
        self.name = name
        self.id = id
        self.partitionCount = partitionCount
        self.configuration = configuration
        self.kept = kept
    }
}

extension Engine {
    /// Makes a topic what the cluster says: created, in other partitions, with other settings; a
    /// topic of the same name and another identity goes first. Replicas that are here no more are
    /// deleted. On return it is on stable storage; doing it again changes nothing.
    ///
    /// Throws ``EngineError`` and ``LogError``. Any task; blocks none of Swift's threads.
    package func keep(_ topic: ReplicatedTopic) async throws {
        let known = state.withLock { $0.catalog.topics[topic.name] }
        if let known, known.id != topic.id { try await deleteTopic(topic.name) }
        try await workers.run { [self] in try withLogErrors { try keepAtOnce(topic) } }
    }

    private func keepAtOnce(_ topic: ReplicatedTopic) throws {
        try changing.withLock { _ in
            var catalog = try openCatalog()
            let old = catalog.topics[topic.name]
            var next = TopicCatalog.Topic(
                name: topic.name, id: topic.id, partitionCount: topic.partitionCount,
                configuration: topic.configuration)
            next.kept = topic.kept
            guard next != old else { return }
            // The list first: what it has and the disk has not is made by the next opening, and
            // what the disk has and the list has not is nobody's.
            catalog.topics[topic.name] = next
            try reserve.spend { try catalog.write(to: directory, on: data.fileSystem) }
            let known = state.withLock { $0.partitions[topic.name] ?? [] }
            var partitions: [Partition] = []
            var gone: [Partition] = []
            for index in 0..<Int32(topic.partitionCount) {
                let current = Int(index) < known.count ? known[Int(index)] : nil
                if let current, current.isKept == next.keeps(index) {
                    partitions.append(current)
                } else if next.keeps(index) {
                    partitions.append(try newReplica(of: next, index))
                } else {
                    if let current { gone.append(current) }
                    partitions.append(Partition(notKept: next, index))
                }
            }
            state.withLock { [partitions] state in
                state.catalog = catalog
                state.partitions[topic.name] = partitions
            }
            if old?.configuration != next.configuration {
                use(next.configuration, in: partitions)
            }
            try remove(gone, of: next)
            // Who waits for others of the topic looks again.
            for partition in known { partition.arrivals.nudge() }
            groups.partitionsChanged()
        }
    }

    private func newReplica(of topic: TopicCatalog.Topic, _ index: Int32) throws -> Partition {
        let path = data.partitionPath(topic.name, index)
        // What a removal left that was interrupted, or another topic of the name.
        if try data.fileSystem.information(path) != nil,
            try PartitionMetadata.read(from: path, on: data.fileSystem) != topic.id
        {
            if let grave = try data.bury(topic.name, index, of: .random()) {
                try data.removePartition(grave)
            }
        }
        let checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: .zero)
        let log = try EngineOpening.openLog(
            of: topic, index, data: data, environment: environment, configuration: configuration,
            checkpoint: checkpoint)
        return Partition(of: topic, index, log: log, checkpoint: checkpoint)
    }

    private func remove(_ partitions: [Partition], of topic: TopicCatalog.Topic) throws {
        guard !partitions.isEmpty else { return }
        for partition in partitions { try? partition.close() }
        compactor.forget(partitions.map(\.name))
        try writeCheckpoints()
        for partition in partitions {
            if let grave = try data.bury(topic.name, partition.index, of: topic.id) {
                try data.removePartition(grave)
            }
        }
        try data.fileSystem.syncDirectory(directory)
    }

    /// The topics that are here, by name, as ``keep(_:)`` made them.
    package func keptTopics() -> [ReplicatedTopic] {
        state.withLock { state in
            state.catalog.topics.values.map { topic in
                ReplicatedTopic(
                    name: topic.name, id: topic.id, partitionCount: topic.partitionCount,
                    configuration: topic.configuration,
                    kept: topic.kept ?? Set(0..<Int32(topic.partitionCount)))
            }
        }
    }

    /// Takes back what a replica has from an offset on, which its leader has not. On return that is
    /// on stable storage. Blocks.
    ///
    /// Throws ``LogError`` as ``PartitionLog/truncate(to:storingRecoveryPoint:)``.
    package func truncateReplica(_ log: PartitionLog, to offset: Offset) throws {
        try withLogErrors {
            _ = try log.truncate(to: offset) { () throws(LogError) in try writeCheckpoints() }
        }
    }

    /// Gives up what a replica has, and begins it anew where its leader's log begins. Blocks.
    ///
    /// Throws ``LogError`` as ``PartitionLog/restart(at:storingCheckpoints:)``.
    package func restartReplica(_ log: PartitionLog, at offset: Offset) throws {
        try withLogErrors {
            try log.restart(at: offset) { () throws(LogError) in try writeCheckpoints() }
            try writeCheckpoints()
        }
    }

    /// Runs something on the engine's threads, which may block.
    package func onWorkers<Success: Sendable>(
        _ body: @escaping @Sendable () throws -> Success
    ) async throws -> Success {
        try await workers.run(body)
    }

    /// Runs something for each of so many, on the engine's threads, side by side. Blocks until all
    /// are done; for the engine's threads.
    package func share(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        workers.share(count, body)
    }
}
