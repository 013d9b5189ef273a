import Synchronization
import TallyTransactions
import Testing

@Suite("Producer ids of a cluster")
struct ProducerIDPoolTests {
    @Test("ids come from the blocks, each once, and the next block is asked for in time")
    func blocks() throws {
        let asked = Mutex(0)
        let pool = ProducerIDPool { asked.withLock { $0 += 1 } }
        #expect(throws: TransactionStoreError.self) { try pool.next() }
        #expect(throws: TransactionStoreError.self) { try pool.next() }
        #expect(asked.withLock { $0 } == 1, "one block is asked for at a time")
        pool.refillFailed()
        #expect(throws: TransactionStoreError.self) { try pool.next() }
        #expect(asked.withLock { $0 } == 2)
        pool.add(1000..<1004)
        #expect(try (0..<2).map { _ in try pool.next() } == [1000, 1001])
        #expect(asked.withLock { $0 } == 3, "with half of it left")
        pool.add(7000..<7002)
        #expect(try (0..<4).map { _ in try pool.next() } == [1002, 1003, 7000, 7001])
        #expect(throws: TransactionStoreError.self) { try pool.next() }
        // What makes no sense is no block.
        pool.add(-5..<0)
        #expect(throws: TransactionStoreError.self) { try pool.next() }
    }
}
