import Testing

@testable import Tally

@Suite("Rounds of a producer")
struct ProducerRoundsTests {
    @Test("a flush waits for its own round and those before it, and for nothing later")
    func rounds() {
        var rounds = ProducerRounds()
        let first = rounds.open()
        let second = rounds.open()
        #expect(first == second)
        let ended = rounds.end()
        #expect(ended == first)
        let later = rounds.open()
        #expect(later == ended + 1)
        rounds.close(later)
        #expect(rounds.oldest == ended, "one of the later round does not count")
        rounds.close(first)
        #expect(rounds.oldest == ended)
        rounds.close(second)
        #expect(rounds.oldest > ended)
    }

    @Test("a round without batches is over at once")
    func empty() {
        var rounds = ProducerRounds()
        #expect(rounds.oldest > rounds.end() - 1)
        let ended = rounds.end()
        #expect(rounds.oldest > ended)
        #expect(rounds.open() == ended + 1)
    }
}
