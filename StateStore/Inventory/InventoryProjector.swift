public import Tally

/// Keeps the inventory projection of a topic up to date with the log: reads from the stored
/// positions on, applies, and commits rows and positions together.
///
/// Thread rule: any task. The work runs on the engine's threads; one projector at a time writes a
/// topic's projection (another is noticed at the next commit, and nothing is counted twice).
public struct InventoryProjector: Sendable {
    private let engine: Engine
    private let database: StateDatabase
    private let options: InventoryProjection.Options

    /// What one run did so far, or in all.
    public struct Progress: Hashable, Sendable {
        /// Records applied or skipped over by this run.
        public var records: Int64 = 0
        /// Records that lay before this run when it began, or were appended meanwhile.
        public var lag: Int64 = 0
        /// Transactions committed.
        public var commits = 0
        /// Records of this run that are no events and went to the dead letters.
        public var deadLetters: Int64 = 0
    }

    /// A projector of an engine's topics into a state database.
    public init(
        engine: Engine, database: StateDatabase,
        options: InventoryProjection.Options = InventoryProjection.Options()
    ) {
        self.engine = engine
        self.database = database
        self.options = options
    }

    /// Applies everything up to the end of the log, and returns; where a transaction is under way,
    /// up to its first record.
    ///
    /// - Parameter onProgress: called after each fetch, on one of the engine's threads.
    /// Throws ``StateStoreError`` (a stored position that the log does not reach any more among
    /// them), ``LogError``, ``EngineError``, and `CancellationError`; what was committed stays.
    @discardableResult
    public func catchUp(
        topic: String, onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        try await project(topic, .live, onProgress)
    }

    /// Builds the projection anew from the first offset on, beside the live one, and puts it in
    /// place in one transaction. Queries see the old rows until then. Ended early, it leaves the
    /// live projection as it was.
    ///
    /// Throws what ``catchUp(topic:onProgress:)`` throws.
    @discardableResult
    public func rebuild(
        topic: String, onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        try await project(topic, .rebuild, onProgress)
    }

    private func project(
        _ topic: String, _ generation: InventoryProjection.Generation,
        _ onProgress: @escaping @Sendable (Progress) -> Void
    ) async throws -> Progress {
        try await engine.blocking { cancellation in
            let projection = try InventoryProjection(
                database: database, topic: topic, generation: generation, options: options)
            var reading = ConsumerConfiguration()
            // What was aborted never happened; what is undecided comes with a later run.
            reading.isolation = .readCommitted
            let consumer = try engine.consumer(of: topic, reading)
            try projection.bind(to: "\(engine.describeTopic(topic).id)")
            try resume(projection, consumer)
            var progress = Progress()
            while let records = try consumer.poll() {
                try cancellation.check()
                try apply(records, to: projection, &progress)
                if projection.isCommitDue {
                    try projection.commit()
                    progress.commits += 1
                }
                progress.lag = consumer.lag.values.reduce(0, +)
                onProgress(progress)
            }
            try projection.commit()
            progress.commits += 1
            if generation == .rebuild { try projection.finishRebuild() }
            progress.lag = consumer.lag.values.reduce(0, +)
            onProgress(progress)
            return progress
        }
    }

    /// Goes to the stored positions, after checking that the log still reaches them.
    private func resume(_ projection: InventoryProjection, _ consumer: TopicConsumer) throws {
        let topic = projection.topic
        for partition in try engine.describeTopic(topic).partitions {
            let offset = try projection.resumeOffset(
                partition: partition.index, logStart: partition.logStart
            ) { epoch in
                if epoch == .none { return partition.logEnd }
                let end = try? engine.endOffset(
                    ofTopic: topic, partition: partition.index, forEpoch: epoch)
                return end?.endOffset
            }
            try consumer.seekBlocking(partition: partition.index, to: .offset(offset))
        }
    }

    private func apply(
        _ records: ConsumedRecords, to projection: InventoryProjection, _ progress: inout Progress
    ) throws {
        let partition = records.partition
        let epoch = records.leaderEpoch
        var count: Int64 = 0
        var deadLetters: Int64 = 0
        try records.forEachRecord { record in
            let outcome = try projection.apply(
                partition: partition, offset: record.offset, leaderEpoch: epoch,
                timestamp: record.timestamp, key: record.key, value: record.value)
            count += 1
            if outcome == .deadLetter { deadLetters += 1 }
        }
        try projection.advance(partition: partition, to: records.nextOffset, leaderEpoch: epoch)
        progress.records += count
        progress.deadLetters += deadLetters
    }
}
