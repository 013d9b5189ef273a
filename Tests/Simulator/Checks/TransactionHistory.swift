import TallyTransactions

/// What clients know of their transactions, each of which has a number of its own.
final class TransactionHistory {
    private(set) var count = 0
    /// How those have ended whose ends were acknowledged.
    private(set) var ends: [Int: TransactionDecision] = [:]
    /// How many records each has in each partition that were acknowledged.
    private(set) var records: [Int: [Int: Int]] = [:]

    func begin() -> Int {
        count += 1
        return count
    }

    func noteRecord(of number: Int, in partition: Int) {
        records[number, default: [:]][partition, default: 0] += 1
    }

    func noteEnd(of number: Int, _ decision: TransactionDecision) { ends[number] = decision }
}
