import Synchronization
import TallyFiles
import TallyLog
public import TallyRecords

/// Sends records to topics: chooses the partition, gathers records into batches, delivers the
/// batches in order, and tells where each record went.
///
/// Three ways to send: `send` waits for a record, or for an array of them, and
/// ``enqueue(topic:partition:key:value:timestamp:headers:token:)`` for none, with
/// ``deliveryReports()`` or ``flush()`` to tell what became of them.
///
/// A record counts as sent when its topic's durability promises it: by default, on stable
/// storage. Unless `acks` says otherwise, batches carry a producer id and sequence numbers, so
/// that the log stores none twice. An append to a log of the same process succeeds, or leaves no
/// trace, or stops the partition; only the second may go better later, and is tried again where
/// ``ProducerConfiguration/retriesMax`` says so, with what was sent later behind it. So the order
/// within a partition is the order of sending.
///
/// Thread rule: any thread and task; two sends of one task keep their order per partition.
public final class Producer: Sendable {
    let configuration: ProducerConfiguration
    /// Nil where it sends to a cluster.
    let parts: ProducerParts!
    /// What sends to a cluster; nil where it appends to an engine.
    let remote: RemoteProducer?
    private let state = UnfairLock(State())
    private let alarm = Alarm()
    /// Whether the alarm is set. What is taken later is due later.
    private let isWatching = Atomic<Bool>(false)

    var engine: Engine { parts.engine }
    private var account: ProducerAccount { remote?.account ?? parts.account }

    private struct State: Sendable {
        var topics: [String: TopicAccumulators] = [:]
    }

    init(remote: RemoteProducer) {
        configuration = remote.configuration
        parts = nil
        self.remote = remote
    }

    init(engine: Engine, configuration: ProducerConfiguration) {
        self.configuration = configuration
        remote = nil
        let account = ProducerAccount(
            byteCountMax: configuration.bufferBytesMax,
            isKeepingErrors: configuration.acknowledgements != .none)
        parts = ProducerParts(
            engine: engine, account: account, reports: DeliveryReportQueue(account: account),
            identity: configuration.usesIdempotence ? .drawn() : nil,
            transaction: configuration.transactionalID.map { id in
                ProducerTransaction(transactionalID: id, link: engine.transactions)
            })
    }

    // MARK: Sending

    /// Sends a record and returns where it went, once its topic's durability is reached.
    ///
    /// Waits for room where the buffer is full, for ``ProducerConfiguration/blockMillisecondsMax``
    /// at most. A task that is cancelled before its record is taken gets `CancellationError`, and
    /// nothing is sent. A record that was taken is not un-sent: from then on cancelling changes
    /// nothing, and the call goes on to tell what became of the record, which takes
    /// `delivery.timeout.ms` at most. Who must not wait for that uses
    /// ``enqueue(topic:partition:key:value:timestamp:headers:token:)``.
    ///
    /// Throws ``EngineError`` where the record cannot go (unknown topic or partition, too large,
    /// no room: ``EngineError/bufferTimeout(byteCount:limit:milliseconds:)``),
    /// and ``LogError`` where it was not stored or could not be synced. After an error of a sync or
    /// a write the record may still be in the log: sending it again may store it twice.
    public func send(_ record: ProducerRecord) async throws -> RecordMetadata {
        if account.isFull || Task.isCancelled { try await waitForRoom() }
        let mayBlock = remote == nil && engine.workers.isPreferredByTask
        return try await withCheckedThrowingContinuation { continuation in
            add(record, mayBlock: mayBlock) { continuation.resume(with: $0) }
        }
    }

    /// Sends records and returns where each went, or why it did not, in their order.
    ///
    /// As many calls for single records at once: records of a partition share batches and syncs. A
    /// record that is refused leaves the others alone. Where there is no room for one in time, or
    /// the task is cancelled, neither that one nor those behind it are taken, and their outcome is
    /// that error; what was taken before is waited for, as with a single record.
    public func send(
        _ records: [ProducerRecord]
    ) async -> [Result<RecordMetadata, any Error>] {
        let outcomes = GatheredOutcomes(count: records.count)
        var stop: (any Error)?
        for (index, record) in records.enumerated() {
            if stop == nil, account.isFull || Task.isCancelled {
                do { try await waitForRoom() } catch { stop = error }
            }
            if let stop {
                outcomes.set(.failure(stop), at: index)
            } else {
                add(record, mayBlock: false) { outcomes.set($0, at: index) }
            }
        }
        return await outcomes.all()
    }

    /// Takes a record; `tell` is called once, now or later.
    private func add(
        _ record: ProducerRecord, mayBlock: Bool, tell: @escaping ProducerBatch.Tell
    ) {
        if let remote { return remote.add(record, tell: tell) }
        let topic = record.topic
        do {
            let accumulators = try accumulators(of: topic)
            let partition = try accumulators.choosePartition(
                of: topic, explicit: record.partition, key: record.key?.rawSpan,
                value: record.value?.rawSpan)
            let isAwaited = configuration.acknowledgements != .none
            try add(
                to: accumulators, partition, key: record.key?.rawSpan,
                value: record.value?.rawSpan, timestamp: record.timestamp,
                headers: record.headers,
                interest: ProducerBatch.Interest(tell: isAwaited ? tell : nil),
                mayBlock: mayBlock && isAwaited)
            guard !isAwaited else { return }
            tell(
                .success(
                    RecordMetadata(
                        topic: topic, partition: partition, offset: Offset(-1),
                        timestamp: record.timestamp ?? .now)))
        } catch {
            tell(.failure(error))
        }
    }

    /// Sends a record of text; see ``send(_:)``.
    public func send(
        key: String?, value: String?, to topic: String
    ) async throws -> RecordMetadata {
        try await send(ProducerRecord(topic: topic, key: key, value: value))
    }

    /// Takes a record to be delivered and returns at once; ``flush()`` or ``deliveryReports()``
    /// tell whether it was.
    ///
    /// Copies nothing but the bytes into the batch. Throws
    /// ``EngineError/producerBufferFull(byteCount:limit:)`` where too much is undelivered: wait
    /// with ``waitForRoom()``.
    ///
    /// - Parameter token: what the report says of the record, for the sender to know it by.
    public func enqueue(
        topic: String, partition: Int32? = nil, key: RawSpan?, value: RawSpan?,
        timestamp: Timestamp? = nil, headers: [RecordHeader] = [], token: UInt64? = nil
    ) throws {
        if account.isFull {
            throw EngineError.producerBufferFull(
                byteCount: account.byteCount, limit: configuration.bufferBytesMax)
        }
        if let remote {
            try remote.add(
                topic: topic, partition: partition, key: key, value: value, timestamp: timestamp,
                headers: headers, interest: ProducerBatch.Interest(token: token))
            return
        }
        let accumulators = try accumulators(of: topic)
        let chosen = try accumulators.choosePartition(
            of: topic, explicit: partition, key: key, value: value)
        try add(
            to: accumulators, chosen, key: key, value: value, timestamp: timestamp,
            headers: headers, interest: ProducerBatch.Interest(token: token), mayBlock: false)
    }

    /// Reports of everything that is delivered from now on, whichever way it was sent.
    public func deliveryReports() -> DeliveryReports {
        DeliveryReports(remote?.reports ?? parts.reports)
    }

    /// Whether ``enqueue(topic:partition:key:value:timestamp:headers:token:)`` would refuse now.
    public var isFull: Bool { account.isFull }

    /// Bytes of records that are taken and not delivered; for tests.
    var pendingByteCount: Int { account.byteCount }

    /// Senders that wait for room; for tests.
    var roomWaiterCount: Int { account.roomWaiterCount }

    /// Returns once there is room for more records. Where there is none now, what waits for the
    /// end of its linger goes out: lingering makes larger batches, and must not stop the sender.
    ///
    /// Throws ``EngineError/bufferTimeout(byteCount:limit:milliseconds:)`` where there is none
    /// within ``ProducerConfiguration/blockMillisecondsMax``, and `CancellationError`.
    public func waitForRoom() async throws {
        try await account.waitForRoom(milliseconds: configuration.blockMillisecondsMax) {
            deliverAll()
        }
    }

    private var accumulators: [PartitionAccumulator] {
        state.withLock { state in state.topics.values.flatMap { $0.accumulators } }
    }

    /// Has everything that was taken delivered.
    func deliverAll() {
        if let remote { return remote.deliverAll() }
        for accumulator in accumulators { accumulator.deliver() }
    }

    /// Holds what was taken to `delivery.timeout.ms`, by a timer of its own: whatever else looks at
    /// a log from time to time may hang with its disk.
    private func watchTimeout(after milliseconds: Int64) {
        isWatching.store(true, ordering: .relaxed)
        alarm.set(after: .milliseconds(milliseconds)) { [weak self] in self?.enforceTimeout() }
    }

    private func enforceTimeout() {
        // What is taken from now on sets the alarm again. Whoever took something before this has
        // charged for it under the lock of its accumulator, which `giveUp` takes behind it.
        isWatching.store(false, ordering: .relaxed)
        let limit = configuration.deliveryTimeout
        let time = ContinuousClock.now - .milliseconds(limit)
        for accumulator in accumulators { accumulator.giveUp(takenBefore: time, after: limit) }
        if account.byteCount > 0 { watchTimeout(after: max(limit / 8, 1)) }
    }

    /// Delivers everything that was taken, without waiting for lingers, nor for records that
    /// others send meanwhile. Cancelling does not end it: it takes `delivery.timeout.ms` at most.
    ///
    /// Throws the first error since the last flush of a record whose sender was not told.
    public func flush() async throws {
        if let remote { return try await remote.flush() }
        let round = account.endRound()
        deliverAll()
        await account.waitUntilDone(through: round)
        if let error = account.takeError() { throw error }
    }

    // MARK: Partitions

    private func add(
        to topic: TopicAccumulators, _ partition: Int32, key: RawSpan?, value: RawSpan?,
        timestamp: Timestamp?, headers: [RecordHeader], interest: ProducerBatch.Interest,
        mayBlock: Bool
    ) throws {
        try topic.rules.check(hasKey: key != nil, timestamp: timestamp)
        let accumulator = topic.accumulators[Int(partition)]
        let added = try accumulator.add(
            key: key, value: value, timestamp: timestamp ?? .now, headers: headers,
            interest: interest)
        guard case .opened(let batch) = added else { return }
        if configuration.deliveryTimeout > 0, !isWatching.load(ordering: .relaxed) {
            watchTimeout(after: configuration.deliveryTimeout)
        }
        guard configuration.lingerMilliseconds > 0 else {
            return accumulator.deliverIfIdle(mayBlock: mayBlock)
        }
        let linger = Duration.milliseconds(configuration.lingerMilliseconds)
        batch.linger(
            Task {
                // Ended early where the batch has arrived: then there is nothing to deliver.
                try? await Task.sleep(for: linger)
                accumulator.deliver(batch)
            })
    }

    private func accumulators(of topic: String) throws -> TopicAccumulators {
        let partitions: [Partition]
        do {
            partitions = try engine.partitions(of: topic)
        } catch {
            // A topic that is gone need not be remembered.
            let gone = state.withLock { $0.topics.removeValue(forKey: topic) }
            // What waits for company fails now, and not when its linger ends.
            gone?.deliver()
            throw error
        }
        var replaced: TopicAccumulators?
        defer { replaced?.deliver() }
        return try state.withLock { state in
            // A topic that was deleted and created again has other partitions.
            let known = state.topics[topic]
            if let known, known.isCurrent(for: partitions) { return known }
            try engine.requireNotInternal(topic)
            // Read before the configuration: a change between the two is seen next time.
            let version = partitions.first?.configurationVersion.load(ordering: .acquiring) ?? 0
            let topicConfiguration = try engine.configuration(of: topic)
            let codec = topicConfiguration.compression ?? configuration.compression
            // What was begun stays where it is: two deliveries to one partition at a time would
            // lose the order of its records.
            let kept =
                known.flatMap { $0.isOfTopic(with: partitions) ? $0.accumulators : nil } ?? []
            for accumulator in kept { accumulator.adopt(codec) }
            let accumulators =
                try kept
                + partitions.dropFirst(kept.count).map { partition in
                    PartitionAccumulator(
                        partition, log: try partition.log, codec: codec,
                        configuration: configuration, shared: parts)
                }
            let made = TopicAccumulators(
                partitions, accumulators, version: version,
                rules: RecordRules(topic: topic, topicConfiguration),
                configuration: configuration)
            state.topics[topic] = made
            if kept.isEmpty { replaced = known }
            return made
        }
    }
}

extension Engine {
    /// A producer on this engine. Make one and share it; it needs no closing, but flush it before
    /// the engine is closed.
    ///
    /// Throws ``EngineError/invalidSetting(name:reason:)``.
    public func producer(
        _ configuration: ProducerConfiguration = ProducerConfiguration()
    ) throws(EngineError) -> Producer {
        try configuration.check()
        return Producer(engine: self, configuration: configuration)
    }
}
