/// Gives out producer ids, none of them twice.
public protocol ProducerIDGenerator: Sendable {
    /// An id that nobody has had, 0 or more.
    mutating func next() throws(TransactionStoreError) -> Int64
}

/// Producer ids out of blocks that a ``TransactionStore`` reserves, as Kafka's brokers take them
/// from their controller: one write for many ids. What is left of a block is lost with the process.
public struct ProducerIDBlocks: ProducerIDGenerator {
    /// How many ids a block has, as in Kafka.
    public static let blockCount: Int64 = 1000

    private let store: any TransactionStore
    private let least: Int64
    private var block: Range<Int64> = 0..<0

    /// - Parameter least: no id below it is given out. A store that was lost counts from 0 again,
    ///   while logs remember ids of before: this is one more than the greatest found in them.
    public init(store: any TransactionStore, notBelow least: Int64 = 0) {
        self.store = store
        self.least = max(least, 0)
    }

    /// The next id of the block, or of a new one.
    public mutating func next() throws(TransactionStoreError) -> Int64 {
        if block.isEmpty {
            block = try store.reserveProducerIDs(count: Self.blockCount, notBelow: least)
        }
        guard let id = block.first else { throw .producerIDsExhausted }
        block = (id + 1)..<block.upperBound
        return id
    }
}
