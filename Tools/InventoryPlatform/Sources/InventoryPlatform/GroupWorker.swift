import Tally

/// Runs one member of a consumer group until the service group shuts down: what it has in hand is
/// finished first, and a wait for more records is ended.
struct GroupWorker {
    let engine: Engine
    let group: String
    let topic: String
    var configuration = GroupConsumerConfiguration()

    /// A member that begins at the first record and sees what was committed.
    init(_ engine: Engine, group: String, topic: String) {
        self.engine = engine
        self.group = group
        self.topic = topic
        configuration.reading.reset = .earliest
        configuration.reading.isolation = .readCommitted
    }

    /// Calls `body` with each fetch. Ends at a shutdown; throws what `body` and the consumer throw.
    func run(
        _ body: (ConsumedRecords, GroupConsumer) async throws -> Void
    ) async throws {
        let consumer = try engine.consumer(group: group, topics: [topic], configuration)
        // Positions are part of what `body` commits.
        try await consumer.run(isCommitting: false) { try await body($0, consumer) }
    }
}
