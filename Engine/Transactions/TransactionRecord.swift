public import TallyRecords

/// All that is known of one transactional id: what a ``TransactionStore`` keeps.
public struct TransactionRecord: Hashable, Sendable {
    /// The name that the application gave its producer.
    public var transactionalID: String
    /// The producer that may act now. While a decision is on its way, the epoch is the raised one,
    /// which the markers carry and which fences the producer that wrote the transaction; but where
    /// that producer ended it by the first version of the protocol, it is the one it wrote with.
    public var producer: ProducerIdentity
    /// The producer whose last request made ``producer``, and which may ask again because the
    /// answer was lost; the same as ``producer`` where it has kept its epoch. Nil where it was
    /// fenced, or where there was none.
    public var previous: ProducerIdentity?
    /// The producer that follows when the decision has arrived everywhere, where that has another
    /// id because the epochs ran out.
    public var next: ProducerIdentity?
    /// How long a transaction may take, in milliseconds.
    public var timeoutMilliseconds: Int32
    /// Where the transaction stands.
    public var state: TransactionState
    /// The partitions that take part, or took part and must hear of the decision.
    public var partitions: Set<TopicPartition> = []
    /// The consumer groups whose offsets are part of the transaction.
    public var groups: Set<String> = []
    /// When the transaction began; nil where there is none.
    public var startedAt: Timestamp?
    /// When anything of this changed last.
    public var updatedAt: Timestamp

    /// A transactional id with a producer that has done nothing yet.
    public init(
        transactionalID: String, producer: ProducerIdentity, timeoutMilliseconds: Int32,
        updatedAt: Timestamp
    ) {
        self.transactionalID = transactionalID
        self.producer = producer
        self.timeoutMilliseconds = timeoutMilliseconds
        state = .empty
        self.updatedAt = updatedAt
    }

    /// Whether the last transaction ended, or ends, without a new epoch: by the first version of
    /// the protocol.
    var hasKeptEpoch: Bool { previous == producer }

    /// The epoch with which the transaction was written whose decision is on its way.
    var transactionEpoch: Int16 { hasKeptEpoch ? producer.epoch : producer.epoch - 1 }

    /// What is wrong with a record that was stored: one line for each rule that it breaks.
    public func verify() -> [String] {
        var problems: [String] = []
        func check(_ isGood: Bool, _ problem: String) {
            if !isGood { problems.append("transactional id \(transactionalID): \(problem)") }
        }
        check(!transactionalID.isEmpty, "has no name")
        check(producer.id >= 0 && producer.epoch >= 0, "\(producer) is none that was given out")
        check(timeoutMilliseconds > 0, "a timeout of \(timeoutMilliseconds) ms")
        check(
            state != .prepareEpochFence && state != .dead, "state \(state.rawValue) is never stored"
        )
        check(
            state != .ongoing || producer.epoch <= ProducerIdentity.epochMax,
            "a transaction of \(producer), which no producer is given")
        check(
            !state.isPrepared || producer.epoch > 0 || hasKeptEpoch,
            "a marker of epoch 0 fences nobody")
        check(next == nil || state.isPrepared, "a next producer id without a decision")
        let isUnderWay = state == .ongoing || state.isPrepared
        check(
            isUnderWay == !(partitions.isEmpty && groups.isEmpty),
            "\(partitions.count) partitions and \(groups.count) groups in state \(state.rawValue)")
        check(isUnderWay == (startedAt != nil), "a start that does not fit \(state.rawValue)")
        return problems
    }
}
