import Synchronization
import TallyReplication
import Testing

@Suite("Waking those who wait", .timeLimit(.minutes(1)))
struct ChangeSignalTests {
    @Test("what was given before the wait is not slept through")
    func before() async {
        let signal = ChangeSignal()
        let seen = signal.count
        signal.notify()
        await signal.wait(past: seen)
        signal.close()
        await signal.wait(past: signal.count)
    }

    @Test("all are woken, by a signal, by the end, by a cancellation", arguments: 0..<3)
    func woken(how: Int) async {
        for _ in 0..<50 {
            let signal = ChangeSignal()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 { group.addTask { await signal.wait(past: 0) } }
                await Task.yield()
                switch how {
                case 0: signal.notify()
                case 1: signal.close()
                default: group.cancelAll()
                }
            }
        }
    }
}
