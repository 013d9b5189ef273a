import Synchronization
import TallyLog

extension Engine {
    /// States the configuration of a topic that was found by its directories, after `topics.json`
    /// was lost: until then nothing of it is retired or compacted. On return it is on stable
    /// storage; it holds from the next opening of the engine on.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/invalidConfiguration(name:value:reason:)`` where settings do not go together,
    /// and ``EngineError/configurationIsStated(topic:)`` for any other topic.
    public func stateConfiguration(
        ofTopic name: String, _ configuration: TopicConfiguration
    ) async throws {
        try configuration.checkTogether()
        try await workers.run { [self] in
            try withLogErrors { try state(configuration, of: name) }
        }
    }

    private func state(_ configuration: TopicConfiguration, of name: String) throws {
        try changing.withLock { _ in
            var catalog = try openCatalog()
            guard var topic = catalog.topics[name] else {
                throw EngineError.unknownTopic(name: name, known: catalog.topics.keys.sorted())
            }
            guard topic.isDiscovered else {
                throw EngineError.configurationIsStated(topic: name)
            }
            topic.configuration = configuration
            topic.isDiscovered = false
            catalog.topics[name] = topic
            try catalog.write(to: directory, on: data.fileSystem)
            state.withLock { $0.catalog = catalog }
        }
    }
}
