/// Where the coordinator keeps what must outlive the process.
///
/// A call that returned is on stable storage; one that threw may have been done or not, and the
/// coordinator copes with both. Calls come one at a time, from whoever drives the coordinator, and
/// may block.
public protocol TransactionStore: Sendable {
    /// All records, in any order.
    func loadTransactions() throws(TransactionStoreError) -> [TransactionRecord]

    /// Begins the term of a new coordinator: a number above all that were given before, 0 first.
    func beginCoordinatorTerm() throws(TransactionStoreError) -> Int32

    /// Puts a record in the place of the one with the same transactional id.
    func save(_ record: TransactionRecord) throws(TransactionStoreError)

    /// Forgets a transactional id. Does nothing where it is not known.
    func removeTransaction(_ transactionalID: String) throws(TransactionStoreError)

    /// Makes changes in their order, in one write where the store can: they share its sync. Where
    /// it throws, some of them may have been made, none without those before it.
    func apply(_ changes: [TransactionChange]) throws(TransactionStoreError)

    /// Makes these the records of the transactional ids for which `belongs` is true: those of
    /// before go.
    func replaceTransactions(
        where belongs: (String) -> Bool, with records: [TransactionRecord]
    ) throws(TransactionStoreError)

    /// Takes `count` (1 or more) producer ids that nobody has had, none of them below `least`.
    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64>
}

extension TransactionStore {
    /// By reading all, and making the changes that follow.
    public func replaceTransactions(
        where belongs: (String) -> Bool, with records: [TransactionRecord]
    ) throws(TransactionStoreError) {
        var changes: [TransactionChange] = []
        for stored in try loadTransactions() where belongs(stored.transactionalID) {
            changes.append(.remove(transactionalID: stored.transactionalID))
        }
        changes += records.map { .save($0) }
        if !changes.isEmpty { try apply(changes) }
    }

    /// One after the other.
    public func apply(_ changes: [TransactionChange]) throws(TransactionStoreError) {
        for change in changes {
            switch change {
            case .save(let record): try save(record)
            case .remove(let transactionalID): try removeTransaction(transactionalID)
            }
        }
    }
}

/// Why a store could not do what it was asked to.
public enum TransactionStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It may work later: a lock, a full disk, an I/O error.
    case unavailable(reason: String)
    /// What is stored breaks a rule; the description says which and where.
    case corrupt(reason: String)
    /// All producer ids were given out.
    case producerIDsExhausted

    /// What happened, for people.
    public var description: String {
        switch self {
        case .unavailable(let reason): reason
        case .corrupt(let reason): "the stored transactions are damaged: \(reason)"
        case .producerIDsExhausted: "there are no producer ids left"
        }
    }
}
