import Synchronization
import TallyGroups
import TallyLog
import TallyRecords
import TallyTransactions

/// What an engine has that records what its coordinators decide in the internal topics.
///
/// Thread rule: any thread.
final class Coordination: Sendable {
    let configuration: InternalTopicsConfiguration
    let offsetsStore: JournaledOffsetStore
    let offsetsJournal: CoordinationJournal<OffsetStoreChange>
    let offsets: StateProjection<OffsetStoreChange>
    let transactionsJournal: TransactionJournal
    let transactions: StateProjection<TransactionChange>
    private let engine: WeakEngine

    /// The engine, which is made after this.
    private final class WeakEngine: Sendable {
        private let value = Mutex(Value())

        private struct Value { weak var engine: Engine? }

        func set(_ engine: Engine) { value.withLock { $0.engine = engine } }
        func get() -> Engine? { value.withLock { $0.engine } }
    }

    /// - Parameters:
    ///   - catalog: the topics there are: those of the internal ones that are keep their numbers of
    ///     partitions.
    ///   - lane: the coordinators'.
    ///   - longWorkers: where the state is written.
    init(
        _ configuration: InternalTopicsConfiguration, catalog: TopicCatalog, lane: SerialLane,
        workers: WorkerPool, longWorkers: WorkerPool, state: any EngineState,
        of engineConfiguration: EngineConfiguration
    ) {
        let engine = WeakEngine()
        func count(_ topic: InternalTopic, _ preset: Int32) -> Int32 {
            catalog.topics[topic.rawValue].map { Int32(clamping: $0.partitionCount) } ?? preset
        }
        let limit = Duration.milliseconds(max(configuration.commitTimeoutMilliseconds, 1))
        let projecting = SerialLane(on: longWorkers)
        let logger = engineConfiguration.logger
        let offsetsCount = count(.consumerOffsets, configuration.offsetsPartitionCount)
        self.configuration = configuration
        self.engine = engine
        offsetsJournal = CoordinationJournal(
            topic: .consumerOffsets, timeLimit: limit, lane: lane, workers: workers)
        offsetsStore = JournaledOffsetStore(
            journal: offsetsJournal, partitionCount: offsetsCount
        ) { engine.get()?.identity(of: $0) }
        offsets = StateProjection(lane: projecting, logger: logger) {
            try state.offsets.apply($0)
        }
        let journal = CoordinationJournal<TransactionChange>(
            topic: .transactionState, timeLimit: limit, lane: lane, workers: workers)
        transactionsJournal = TransactionJournal(
            journal: journal,
            store: JournaledTransactionStore(
                journal: journal,
                partitionCount: count(
                    .transactionState, configuration.transactionsPartitionCount),
                offsetsPartitionCount: offsetsCount)
        ) { engine.get()?.reloadTransactions($0) }
        transactions = StateProjection(lane: projecting, logger: logger) {
            try state.transactions.apply($0)
        }
    }

    /// How many partitions an internal topic has, or will have when it is made.
    func partitionCount(of topic: InternalTopic) -> Int32 {
        switch topic {
        case .consumerOffsets: offsetsStore.partitionCount
        case .transactionState: transactionsJournal.store.partitionCount
        }
    }

    /// The engine is there.
    func begin(_ engine: Engine) {
        self.engine.set(engine)
        let weak = self.engine
        func log(_ topic: InternalTopic) -> @Sendable (Int32) throws -> PartitionLog {
            { partition in
                guard let engine = weak.get() else { throw EngineError.closed }
                return try engine.log(partition, of: topic)
            }
        }
        offsetsJournal.begin(
            CoordinationJournal.Surroundings(log: log(.consumerOffsets)) { [offsets] in
                offsets.add($0)
            })
        transactionsJournal.journal.begin(
            CoordinationJournal.Surroundings(log: log(.transactionState)) { [transactions] in
                transactions.add($0)
            })
    }

    /// Returns when the state has what was committed until now.
    func finish() async {
        await offsets.finish()
        await transactions.finish()
    }
}
