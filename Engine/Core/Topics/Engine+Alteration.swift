import Logging
import Synchronization
import TallyLog

/// When a change of a topic's setting holds.
public enum SettingEffect: Hashable, Sendable {
    /// For everything from now on.
    case atOnce
    /// From the next opening of the engine on: it says how files are laid out.
    case withNextOpening
}

extension TopicSetting {
    /// When a change of it holds in an engine that is open.
    public var effect: SettingEffect {
        switch self {
        case .segmentBytes, .segmentIndexBytes, .indexIntervalBytes: .withNextOpening
        default: .atOnce
        }
    }
}

/// One setting of a topic that was changed.
public struct SettingChange: Hashable, Sendable {
    /// Which.
    public var setting: TopicSetting
    /// The value that was in force.
    public var oldValue: String
    /// The value that is.
    public var newValue: String
    /// When it holds.
    public var effect: SettingEffect { setting.effect }
}

extension Engine {
    /// Changes settings of a topic; those that are not named stay as they are. On return the change
    /// is on stable storage, and in use where ``TopicSetting/effect`` says at once: producers that
    /// exist follow it from their next record on.
    ///
    /// A crash leaves all of the change or nothing of it.
    ///
    /// - Parameters:
    ///   - settings: values by Kafka's names.
    ///   - names: settings that follow their defaults again.
    /// - Returns: what has changed, by name; nothing where all was so already.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/invalidConfiguration(name:value:reason:)``,
    /// ``EngineError/configurationIsNotStated(topic:)``, and ``LogError`` where it could not be
    /// stored. Any thread.
    @discardableResult
    public func alterTopic(
        _ name: String, setting settings: [String: String] = [:], resetting names: [String] = []
    ) async throws -> [SettingChange] {
        try requireNotInternal(name)
        return try await workers.run { [self] in
            try withLogErrors { try alter(name, settings, resetting: names) }
        }
    }

    private func alter(
        _ name: String, _ settings: [String: String], resetting names: [String]
    ) throws -> [SettingChange] {
        try changing.withLock { _ in
            var catalog = try openCatalog()
            guard var topic = catalog.topics[name] else {
                throw EngineError.unknownTopic(name: name, known: catalog.topics.keys.sorted())
            }
            guard !topic.isDiscovered else {
                throw EngineError.configurationIsNotStated(topic: name)
            }
            let old = topic.configuration
            for name in names { try topic.configuration.reset(name) }
            for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
                try topic.configuration.set(name, to: value)
            }
            try topic.configuration.checkTogether()
            guard topic.configuration != old else { return [] }
            catalog.topics[name] = topic
            try reserve.spend { try catalog.write(to: directory, on: data.fileSystem) }
            let partitions = state.withLock { state in
                state.catalog = catalog
                return state.partitions[name] ?? []
            }
            use(topic.configuration, in: partitions)
            return changes(from: old, to: topic.configuration)
        }
    }

    private func use(_ configuration: TopicConfiguration, in partitions: [Partition]) {
        let log = configuration.logConfiguration(self.configuration)
        for partition in partitions {
            do {
                try partition.onlineLog?.adopt(log)
            } catch {
                // Stopped, as whoever appends there is told; the topic is altered all the same.
                self.configuration.logger.warning(
                    "\(partition.name) has its new configuration, and could not be synced: \(error)"
                )
            }
        }
        // Last: producers that see the new version find the new configuration in use.
        for partition in partitions {
            partition.configurationVersion.wrappingAdd(1, ordering: .acquiringAndReleasing)
        }
    }

    private func changes(
        from old: TopicConfiguration, to new: TopicConfiguration
    ) -> [SettingChange] {
        TopicSetting.allCases.compactMap { setting in
            let (before, after) = (value(of: setting, in: old), value(of: setting, in: new))
            guard before != after else { return nil }
            return SettingChange(setting: setting, oldValue: before, newValue: after)
        }
    }

    /// The value in force; for durability, the engine may have its own default.
    private func value(of setting: TopicSetting, in topic: TopicConfiguration) -> String {
        guard setting == .durability else { return topic.value(of: setting) }
        return (topic.durability ?? configuration.durability).text
    }

    // MARK: Partitions

    /// Gives a topic more partitions. On return they are on stable storage, producers use them from
    /// their next record on, and consumers of the whole topic read them, from their beginning.
    ///
    /// **Keys move.** A record's partition is its key's hash modulo the number of partitions, so
    /// that from now on most keys go elsewhere than their earlier records lie: their order across
    /// the change is lost, and whoever holds state per partition has that of other keys. Safe for
    /// topics without keys; the engine does not look which those are.
    ///
    /// A crash leaves all of the new partitions or none.
    ///
    /// - Parameter count: how many there shall be; as many as there are changes nothing.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/invalidPartitionCount(_:)``,
    /// ``EngineError/partitionsCannotBeRemoved(topic:count:requested:)``,
    /// ``EngineError/recordsWithoutTopic(directory:)``, and ``LogError``. Any thread.
    @discardableResult
    public func createPartitions(
        ofTopic name: String, count: Int
    ) async throws -> TopicDescription {
        try requireNotInternal(name)
        guard (1...TopicLimits.partitionsMax).contains(count) else {
            throw EngineError.invalidPartitionCount(count)
        }
        return try await workers.run { [self] in
            try withLogErrors { try addPartitions(name, count) }
            return try describeTopic(name)
        }
    }

    private func addPartitions(_ name: String, _ count: Int) throws {
        try changing.withLock { _ in
            var catalog = try openCatalog()
            guard var topic = catalog.topics[name] else {
                throw EngineError.unknownTopic(name: name, known: catalog.topics.keys.sorted())
            }
            let oldCount = topic.partitionCount
            guard count >= oldCount else {
                throw EngineError.partitionsCannotBeRemoved(
                    topic: name, count: oldCount, requested: count)
            }
            guard count > oldCount else { return }
            // As in a creation: the directories come first, and without the list a crash leaves
            // empty ones, which the next attempt takes over.
            try refuseLeftOvers(of: name, from: Int32(oldCount))
            let checkpoint = PartitionCheckpoint(isClean: true, recoveryPoint: .zero)
            let opened = try (Int32(oldCount)..<Int32(count)).map { index in
                let log = try EngineOpening.openLog(
                    of: topic, index, data: data, environment: environment,
                    configuration: configuration, checkpoint: checkpoint)
                return Partition(of: topic, index, log: log, checkpoint: checkpoint)
            }
            topic.partitionCount = count
            catalog.topics[name] = topic
            try catalog.write(to: directory, on: data.fileSystem)
            let older = state.withLock { state in
                state.catalog = catalog
                defer { state.partitions[name, default: []] += opened }
                return state.partitions[name] ?? []
            }
            // Consumers that wait for the others join, and groups share out anew.
            for partition in older { partition.arrivals.nudge() }
            groups.partitionsChanged()
        }
    }
}
