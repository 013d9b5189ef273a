import Synchronization
import Testing

@testable import TallyServer

@Suite("Memory that requests share")
struct MemoryBudgetTests {
    /// What was granted, in its order.
    private final class Granted: Sendable {
        private let counts = Mutex<[Int]>([])
        var all: [Int] { counts.withLock { $0 } }
        func note(_ byteCount: Int) { counts.withLock { $0.append(byteCount) } }
    }

    @Test("turns are in the order of asking: a small request does not overtake a large one")
    func order() {
        let budget = MemoryBudget(byteCount: 100)
        let granted = Granted()
        #expect(budget.take(60) { granted.note(60) } == nil)
        #expect(!budget.isWanted)
        #expect(budget.take(80) { granted.note(80) } != nil)
        // There would be room for it.
        #expect(budget.take(10) { granted.note(10) } != nil)
        #expect(budget.isWanted && granted.all.isEmpty && budget.left == 40)
        budget.giveBack(60)
        #expect(granted.all == [80, 10])
        #expect(!budget.isWanted && budget.left == 10)
        budget.giveBack(90)
        #expect(budget.left == 100)
    }

    @Test("who waits no longer lets those behind have their turn")
    func forgetting() throws {
        let budget = MemoryBudget(byteCount: 100)
        let granted = Granted()
        #expect(budget.take(60) {} == nil)
        let large = try #require(budget.take(80) { granted.note(80) })
        let small = try #require(budget.take(40) { granted.note(40) })
        #expect(budget.forget(large))
        #expect(granted.all == [40])
        #expect(budget.left == 0)
        // It was granted, and has to be given back.
        #expect(!budget.forget(small))
        budget.giveBack(40)
        #expect(budget.left == 40)
    }
}
