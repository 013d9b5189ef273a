import Synchronization
import TallyFiles
import TallyGroups
public import TallyLog
public import TallyRecords

/// A topic as the engine knows it.
public struct TopicDescription: Hashable, Sendable {
    /// The topic's name.
    public var name: String
    /// Its identity: another one after it was deleted and created again.
    public var id: TopicID
    /// What was set for it.
    public var configuration: TopicConfiguration
    /// True where `topics.json` was lost and the topic was found by its directories: nothing of
    /// it is retired or compacted until its configuration is stated.
    public var isDiscovered: Bool
    /// Its partitions, in order.
    public var partitions: [PartitionDescription]
}

/// A partition at one moment.
public struct PartitionDescription: Hashable, Sendable {
    /// The partition's number, from 0.
    public var index: Int32
    /// The first offset that can be read.
    public var logStart: Offset
    /// What lies before it can be read.
    public var highWatermark: Offset
    /// The offset the next record gets.
    public var logEnd: Offset
    /// The leader epoch of new records.
    public var leaderEpoch: LeaderEpoch
    /// Bytes of all segments.
    public var byteCount: Int
    /// Number of segments.
    public var segmentCount: Int
    /// Why the partition takes no appends, or no requests at all; nil while all is well.
    public var problem: String?
}

extension Engine {
    /// Creates a topic. On return it is on stable storage.
    ///
    /// - Parameter partitions: 1 or more. A key goes to the same partition for ever only while
    ///   this number stays the same.
    /// Throws ``EngineError``: the name is taken or invalid, the number makes no sense, the
    /// settings do not go together, or what groups had committed in an earlier topic of the name
    /// could not be forgotten.
    @discardableResult
    public func createTopic(
        _ name: String, partitions count: Int,
        configuration: TopicConfiguration = TopicConfiguration()
    ) async throws -> TopicDescription {
        try requireNotInternal(name)
        return try await createTopic(
            name, id: .random(), partitions: count, configuration: configuration)
    }

    /// The same, with an identity: that of the topic in another place which this one is a copy of.
    @discardableResult
    package func createTopic(
        _ name: String, id: TopicID, partitions count: Int, configuration: TopicConfiguration
    ) async throws -> TopicDescription {
        try TopicName.check(name)
        guard (1...TopicLimits.partitionsMax).contains(count) else {
            throw EngineError.invalidPartitionCount(count)
        }
        try configuration.checkTogether()
        do {
            try await groups.topicComes(name) { [self] in hasOrHidesTopic(name) }
        } catch {
            throw EngineError.group(error)
        }
        return try await workers.run { [self] in
            try withLogErrors { try create(name, id, partitions: count, configuration) }
            return try describeTopic(name)
        }
    }

    /// Throws what ``createTopic(_:partitions:configuration:)`` would, as far as that can be known
    /// without doing it.
    package func checkCreation(
        _ name: String, partitions count: Int, _ configuration: TopicConfiguration
    ) throws(EngineError) {
        try TopicName.check(name)
        guard (1...TopicLimits.partitionsMax).contains(count) else {
            throw .invalidPartitionCount(count)
        }
        try configuration.checkTogether()
        if try openCatalog().topics[name] != nil { throw .topicExists(name: name) }
    }

    /// Whether a topic is there; true also where nobody can tell, since the engine is closed.
    private func hasOrHidesTopic(_ name: String) -> Bool {
        do throws(EngineError) {
            _ = try partitions(of: name)
            return true
        } catch .unknownTopic {
            return false
        } catch {
            return true
        }
    }

    /// Creates a topic unless one of this name exists, whatever its partitions and configuration.
    ///
    /// Throws as ``createTopic(_:partitions:configuration:)`` does.
    @discardableResult
    public func ensureTopic(
        _ name: String, partitions count: Int,
        configuration: TopicConfiguration = TopicConfiguration()
    ) async throws -> TopicDescription {
        do {
            return try await createTopic(name, partitions: count, configuration: configuration)
        } catch EngineError.topicExists {
            return try describeTopic(name)
        }
    }

    /// Creates an internal topic; blocks. The same as ``createTopic(_:partitions:configuration:)``,
    /// but for the lane that groups run on, which waits for it.
    func makeTopic(
        _ name: String, partitions count: Int, _ configuration: TopicConfiguration
    ) throws {
        try withLogErrors { try create(name, .random(), partitions: count, configuration) }
    }

    private func create(
        _ name: String, _ id: TopicID, partitions count: Int, _ configuration: TopicConfiguration
    ) throws {
        try changing.withLock { _ in
            var catalog = try openCatalog()
            guard catalog.topics[name] == nil else { throw EngineError.topicExists(name: name) }
            let topic = TopicCatalog.Topic(
                name: name, id: id, partitionCount: count, configuration: configuration)
            try refuseLeftOvers(of: name, from: 0)
            // The directories come first: a topic that is listed is there. Without the list, a
            // crash leaves empty directories, which the next creation takes over.
            let checkpoint = PartitionCheckpoint(isClean: true, recoveryPoint: .zero)
            let opened = try (0..<Int32(count)).map { index in
                let log = try EngineOpening.openLog(
                    of: topic, index, data: data, environment: environment,
                    configuration: self.configuration, checkpoint: checkpoint)
                return Partition(of: topic, index, log: log, checkpoint: checkpoint)
            }
            catalog.topics[name] = topic
            try catalog.write(to: directory, on: data.fileSystem)
            state.withLock { state in
                state.catalog = catalog
                state.partitions[name] = opened
            }
            // Groups may want it already: those that have read a topic of this name. Not here: it
            // may be a group that has an internal topic made, and holds its lock.
            lane.submit { [groups] in groups.partitionsChanged() }
        }
    }

    /// The topics there are. Throws ``EngineError/closed``.
    func openCatalog() throws(EngineError) -> TopicCatalog {
        try state.withLock { state throws(EngineError) in
            if state.isClosed { throw .closed }
            return state.catalog
        }
    }

    /// A new topic must not swallow records that lie in directories of its name. Empty ones,
    /// left by a creation that was interrupted, are removed.
    ///
    /// - Parameter first: the first partition that is to be made.
    func refuseLeftOvers(of name: String, from first: Int32) throws {
        for entry in try data.fileSystem.list(directory) {
            guard let found = TopicName.split(entry), found.topic == name,
                found.partition >= first
            else { continue }
            let path = joinPath(directory, entry)
            for file in try data.fileSystem.list(path) {
                let filePath = joinPath(path, file)
                let isLog = file.hasSuffix(SegmentName.Ending.log.rawValue)
                if isLog, try data.fileSystem.information(filePath)?.byteCount ?? 0 > 0 {
                    throw EngineError.recordsWithoutTopic(directory: path)
                }
            }
            try data.removePartition(path)
        }
    }

    /// Deletes a topic and its records. Readers that hold slices keep valid memory; consumers
    /// that wait end with an error.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``, and ``EngineError/group(_:)`` where the
    /// topic is gone and what groups have committed in it could not be forgotten.
    public func deleteTopic(_ name: String) async throws {
        try requireNotInternal(name)
        try await workers.run { [self] in try withLogErrors { try delete(name) } }
        groups.partitionsChanged()
        // Of another topic of its name its offsets say nothing.
        try await askGroups { (coordinator, _) throws(GroupError) in
            try coordinator.topicDeleted(name)
        }
    }

    private func delete(_ name: String) throws {
        try changing.withLock { _ in
            var catalog = try openCatalog()
            guard let topic = catalog.topics.removeValue(forKey: name) else {
                throw EngineError.unknownTopic(name: name, known: catalog.topics.keys.sorted())
            }
            // The list comes first: after a crash the directories are left-overs without a topic.
            try reserve.spend { try catalog.write(to: directory, on: data.fileSystem) }
            let partitions = state.withLock { state in
                state.catalog = catalog
                return state.partitions.removeValue(forKey: name) ?? []
            }
            for partition in partitions { try? partition.close() }
            compactor.forget(partitions.map(\.name))
            // Or a new topic of the name, after a crash, would seem to have lost its records. Where
            // there is no space for it, the records go all the same: that makes space.
            let checkpoints = Result { try writeCheckpoints() }
            let graves = try partitions.compactMap { partition in
                try data.bury(name, partition.index, of: topic.id)
            }
            try data.fileSystem.syncDirectory(directory)
            for grave in graves { try data.removePartition(grave) }
            try data.fileSystem.syncDirectory(directory)
            if case .failure = checkpoints { try writeCheckpoints() }
            reserve.hold()
        }
    }

    /// All topics, by name.
    public func topics() throws(EngineError) -> [TopicDescription] {
        let names = try state.withLock { state throws(EngineError) in
            if state.isClosed { throw .closed }
            return state.catalog.topics.keys.sorted()
        }
        return try names.map { name throws(EngineError) in try describeTopic(name) }
    }

    /// One topic and its partitions.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``.
    public func describeTopic(_ name: String) throws(EngineError) -> TopicDescription {
        let partitions = try partitions(of: name)
        let topic = state.withLock { $0.catalog.topics[name] }
        guard let topic else { throw .unknownTopic(name: name, known: []) }
        return TopicDescription(
            name: name, id: topic.id, configuration: topic.configuration,
            isDiscovered: topic.isDiscovered, partitions: partitions.map { $0.description })
    }
}

extension Partition {
    /// The partition at this moment.
    var description: PartitionDescription {
        guard let log = onlineLog else {
            return PartitionDescription(
                index: index, logStart: .zero, highWatermark: .zero, logEnd: .zero,
                leaderEpoch: .none, byteCount: 0, segmentCount: 0,
                problem: failure?.description)
        }
        let segments = log.segments
        return PartitionDescription(
            index: index, logStart: log.logStart, highWatermark: log.highWatermark,
            logEnd: log.logEnd, leaderEpoch: log.leaderEpoch,
            byteCount: segments.reduce(0) { $0 + $1.byteCount }, segmentCount: segments.count,
            problem: log.stopReason)
    }
}
