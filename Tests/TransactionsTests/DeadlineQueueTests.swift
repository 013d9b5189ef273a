import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyTransactions

@Suite("Deadlines")
struct DeadlineQueueTests {
    @Test("they come up as in a plain table that is searched each time")
    func model() {
        var generator = SeededGenerator.fromEnvironment()
        var queue = DeadlineQueue()
        var model: [String: Timestamp] = [:]
        for _ in 0..<20_000 {
            let time = Timestamp(milliseconds: Int64.random(in: 0..<60, using: &generator))
            if Int.random(in: 0..<20, using: &generator) == 0 {
                let due = queue.takeDue(at: time)
                let expected = model.filter { $0.value <= time }
                #expect(Set(due) == Set(expected.keys) && due.count == expected.count)
                #expect(due.map { expected[$0] ?? .none } == expected.values.sorted())
                for id in due { model[id] = nil }
            } else {
                let id = "\(Int.random(in: 0..<40, using: &generator))"
                let wanted = Bool.random(using: &generator) ? time : nil
                queue.set(id, to: wanted)
                model[id] = wanted
            }
            #expect(queue.earliest == model.values.min())
        }
    }
}
