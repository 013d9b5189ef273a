import TallyTransactions

/// Producer ids that need no register; see ``ProducerIdentity/drawn()``.
struct DrawnProducerIDs: ProducerIDGenerator {
    mutating func next() throws(TransactionStoreError) -> Int64 { ProducerIdentity.drawn().id }
}
