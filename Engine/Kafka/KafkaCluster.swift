import Synchronization
import Tally
import TallyClient
import TallyLog
import TallyRecords
import TallyTransactions
import TallyWire

/// A cluster behind Kafka's protocol. Thread rule: any task.
final class KafkaCluster: RemoteCluster {
    private let client: ClusterClient
    private let transactions = Mutex<[WeakTransactions]>([])

    private struct WeakTransactions {
        weak var value: KafkaTransactions?
    }

    init(_ client: ClusterClient) { self.client = client }

    func close() async {
        await client.close()
        let open = transactions.withLock { $0.compactMap(\.value) }
        await withTaskGroup { group in
            for transactions in open { group.addTask { await transactions.close() } }
        }
    }

    func transactions(of transactionalID: String) -> any RemoteTransactions {
        let made = KafkaTransactions(
            of: transactionalID, bootstrap: client.bootstrap, client.configuration)
        transactions.withLock { known in
            known.removeAll { $0.value == nil }
            known.append(WeakTransactions(value: made))
        }
        return made
    }

    func groups() -> any RemoteGroups {
        KafkaGroups(bootstrap: client.bootstrap, client.configuration)
    }

    func describeTopic(_ name: String) async throws -> RemoteTopic {
        try await telling(about: name) {
            guard let topic = try await client.describeTopics([name])[name] else {
                throw EngineError.unknownTopic(name: name, known: [])
            }
            return RemoteTopic(
                id: topic.id == .zero ? nil : TopicID(high: topic.id.high, low: topic.id.low),
                partitionCount: topic.partitionCount)
        }
    }

    // MARK: Producing

    func newProducer() async throws -> ProducerIdentity {
        try await telling(about: nil) {
            let identity = try await client.newProducer()
            return ProducerIdentity(id: identity.id, epoch: identity.epoch)
        }
    }

    func append(_ batch: RemoteBatch) async -> RemoteAppend {
        await Self.append(batch, by: client)
    }

    /// Tries once to append a batch.
    static func append(_ batch: RemoteBatch, by client: ClusterClient) async -> RemoteAppend {
        let topic = batch.partition.topic
        do {
            let appended = try await client.tryAppend(
                batch.bytes, to: batch.partition, acks: batch.acknowledgements.number,
                timeoutMilliseconds: batch.timeoutMilliseconds,
                transactionalID: batch.transactionalID)
            return .appended(
                baseOffset: appended.baseOffset ?? Offset(-1),
                logAppendTime: appended.logAppendTime)
        } catch let error as ClientError {
            let isTransactional = batch.transactionalID != nil
            if isTransactional, let code = error.code, let refusal = TransactionError(of: code) {
                return .refused(EngineError.transaction(refusal))
            }
            return outcome(of: error, topic)
        } catch {
            // Cancelled: it may be on its way.
            return .retry(error, mayBeStored: true)
        }
    }

    private static func outcome(of error: ClientError, _ topic: String) -> RemoteAppend {
        switch error {
        case .refused(_, _, .duplicateSequenceNumber, _):
            // There, and the broker does not know where.
            return .appended(baseOffset: Offset(-1), logAppendTime: nil)
        case .refused(_, _, .outOfOrderSequenceNumber, _),
            .refused(_, _, .unknownProducerID, _),
            .refused(_, _, .invalidProducerEpoch, _):
            return .unknownProducer(KafkaError(error))
        case .refused(_, _, .messageTooLarge, _):
            return .refused(
                EngineError.recordTooLarge(
                    byteCount: 0, limit: 0, setting: TopicSetting.maxMessageBytes.rawValue))
        case .closed, .timedOut:
            // Sent perhaps, and carried out perhaps.
            return .retry(KafkaError(error), mayBeStored: true)
        case .refused(_, _, .requestTimedOut, _),
            // A leader that was replaced behind the append says so.
            .refused(_, _, .notLeaderOrFollower, _),
            .refused(_, _, .notEnoughReplicasAfterAppend, _),
            .refused(_, _, .networkException, _),
            .refused(_, _, .kafkaStorageError, _):
            return .retry(KafkaError(error), mayBeStored: true)
        default:
            return error.isRetriable
                ? .retry(error.told(about: topic), mayBeStored: false)
                : .refused(error.told(about: topic))
        }
    }

    // MARK: Reading

    func offsets(
        of partitions: Set<TopicPartition>, at place: StartingPosition, isolation: IsolationLevel
    ) async throws -> [TopicPartition: OffsetAndTimestamp] {
        try await requireKnown(partitions)
        return try await telling(about: partitions.first?.topic) {
            switch place {
            case .offset(let offset):
                return Dictionary(
                    uniqueKeysWithValues: partitions.map {
                        ($0, OffsetAndTimestamp(offset: offset, timestamp: Timestamp.none))
                    })
            case .earliest: return try await offsets(of: partitions, .logStart, isolation)
            case .latest: return try await offsets(of: partitions, .end, isolation)
            case .time(let time):
                return try await client.offsets(
                    of: partitions, atTime: time, isCommitted: isolation == .readCommitted
                ).mapValues {
                    OffsetAndTimestamp(offset: $0.offset, timestamp: $0.timestamp)
                }
            }
        }
    }

    /// Throws at once for what is not there: those that lead it would be looked for in vain, and
    /// for long.
    private func requireKnown(_ partitions: Set<TopicPartition>) async throws {
        let view = await client.currentView
        for id in partitions where view.topics[id.topic]?.partitions[id.partition] == nil {
            let count = try await describeTopic(id.topic).partitionCount
            guard id.partition >= 0, id.partition < count else {
                throw EngineError.unknownPartition(
                    topic: id.topic, partition: id.partition, count: count)
            }
        }
    }

    private func offsets(
        of partitions: Set<TopicPartition>, _ query: OffsetQuery, _ isolation: IsolationLevel
    ) async throws -> [TopicPartition: OffsetAndTimestamp] {
        try await client.offsets(
            of: partitions, at: query, isCommitted: isolation == .readCommitted
        ).mapValues { OffsetAndTimestamp(offset: $0, timestamp: Timestamp.none) }
    }

    func fetcher(_ configuration: ConsumerConfiguration) -> any RemoteFetcher {
        KafkaFetcher(client, configuration)
    }

    /// Runs something, and tells its errors as an application knows them.
    private func telling<Success: Sendable>(
        about topic: String?, _ body: () async throws -> Success
    ) async throws -> Success {
        do {
            return try await body()
        } catch let error as ClientError {
            throw error.told(about: topic)
        }
    }
}

/// Reads a cluster's partitions by a ``LogReader``. Thread rule: as ``RemoteFetcher``.
final class KafkaFetcher: RemoteFetcher {
    private let reader: LogReader

    init(_ client: ClusterClient, _ configuration: ConsumerConfiguration) {
        var settings = LogReaderConfiguration()
        settings.isCommitted = configuration.isolation == .readCommitted
        settings.partitionBytesMax = Int32(clamping: configuration.fetchBytesMax)
        reader = LogReader(client, configuration: settings)
    }

    func read(_ partition: TopicPartition, from offset: Offset) async {
        await reader.read(partition, from: offset)
    }

    func stop(_ partition: TopicPartition) async { await reader.stop(partition) }

    func nudge() { reader.nudge() }

    func close() async { await reader.close() }

    func next() async throws -> [RemoteFetch] {
        do {
            return try await reader.next().map { event in
                switch event {
                case .fetched(let fetched):
                    .fetched(
                        RemoteBatches(
                            partition: fetched.partition, bytes: Array(fetched.batches),
                            nextOffset: fetched.nextOffset,
                            highWatermark: fetched.highWatermark,
                            aborted: fetched.abortedTransactions.map {
                                ($0.producerID, $0.firstOffset)
                            }))
                case .outOfRange(let id, let requested): .outOfRange(id, requested: requested)
                case .replaced(let id): .replaced(id)
                }
            }
        } catch let error as ClientError {
            throw error.told(about: nil)
        }
    }
}

extension Acknowledgements {
    /// As the protocol has it.
    fileprivate var number: Int16 {
        switch self {
        case .none: 0
        case .leader: 1
        case .all: -1
        }
    }
}
