import Foundation
import TallyFiles

/// Calls back where something has not happened in time: limits of waits, nearly all of which end
/// before.
///
/// A task that sleeps takes a timer of the system and two changes of threads for each wait, also
/// where it is cancelled at once. Here a limit is an entry in a table of slots of ten milliseconds,
/// which one thread looks at while there are any. So it comes up to twenty milliseconds late.
/// Thread rule: any thread; the thread that calls back must not be blocked.
package final class TimeLimits: Sendable {
    /// Names a limit, to take it back.
    package struct Limit: Sendable {
        fileprivate var slot: Int
        fileprivate var number: Int
    }

    private static let slotMilliseconds = 10
    /// How many slots without any limit before the thread goes to sleep for good.
    private static let slotsBeforeRest = 100

    private let origin = ContinuousClock.now
    private let state = UnfairLock(State())
    private let wakening = DispatchSemaphore(value: 0)

    private struct State: Sendable {
        var slots: [Int: [Int: @Sendable () -> Void]] = [:]
        var count = 0
        var nextNumber = 0
        /// The first slot that was not looked at yet.
        var nextSlot = 0
        var hasThread = false
        var isResting = false
        var isClosed = false
    }

    private enum Need { case nothing, thread, wakening, call }

    package init() {}

    /// Calls back at a time, or soon after it, unless ``cancel(_:)`` comes before; at once where
    /// the limits are closed.
    package func add(
        at deadline: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void
    ) -> Limit {
        let slot = slot(of: deadline) + 1
        let (limit, need) = state.withLock { state -> (Limit, Need) in
            let limit = Limit(slot: max(slot, state.nextSlot), number: state.nextNumber)
            if state.isClosed { return (limit, .call) }
            state.nextNumber += 1
            state.slots[limit.slot, default: [:]][limit.number] = body
            state.count += 1
            if !state.hasThread {
                state.hasThread = true
                return (limit, .thread)
            }
            guard state.isResting else { return (limit, .nothing) }
            state.isResting = false
            return (limit, .wakening)
        }
        switch need {
        case .nothing: break
        case .thread: startThread()
        case .wakening: wakening.signal()
        case .call: body()
        }
        return limit
    }

    /// Does not call back any more, if it has not yet.
    package func cancel(_ limit: Limit) {
        // What is let go of may run code of its own: not under the lock.
        let body = state.withLock { state -> (@Sendable () -> Void)? in
            guard let body = state.slots[limit.slot]?.removeValue(forKey: limit.number) else {
                return nil
            }
            if state.slots[limit.slot]?.isEmpty == true { state.slots[limit.slot] = nil }
            state.count -= 1
            return body
        }
        _ = body
    }

    /// Calls everybody back, now, and whoever comes later at once; the thread ends.
    func close() {
        let rest = state.withLock { state in
            state.isClosed = true
            state.count = 0
            defer { state.slots = [:] }
            return state.slots.values.flatMap(\.values)
        }
        wakening.signal()
        for body in rest { body() }
    }

    private func slot(of time: ContinuousClock.Instant) -> Int {
        let milliseconds = (time - origin) / .milliseconds(Self.slotMilliseconds)
        // No clock reaches the farthest of them.
        return Int(min(max(milliseconds, 0), 1e15))
    }

    private func startThread() {
        let thread = Thread { [weak self] in
            var emptySlots = 0
            while let wakening = self?.goOn(&emptySlots) {
                // Held by nobody while it waits: who lets go of the limits ends the thread.
                if emptySlots > Self.slotsBeforeRest {
                    wakening.wait()
                    emptySlots = 0
                } else {
                    _ = wakening.wait(timeout: .now() + .milliseconds(Self.slotMilliseconds))
                }
            }
        }
        thread.name = "tally-limits"
        thread.stackSize = 256 << 10
        thread.start()
    }

    deinit { wakening.signal() }

    /// Calls back what is due. Nil where the thread is to end.
    private func goOn(_ emptySlots: inout Int) -> DispatchSemaphore? {
        let current = slot(of: .now)
        let (due, isEmpty, isClosed) = state.withLock { state in
            var due: [@Sendable () -> Void] = []
            if state.count > 0, state.nextSlot <= current {
                let slots =
                    current - state.nextSlot < state.slots.count
                    ? Array(state.nextSlot...current)
                    : state.slots.keys.filter { $0 <= current }
                for slot in slots.sorted() {
                    due += state.slots.removeValue(forKey: slot).map { Array($0.values) } ?? []
                }
                state.count -= due.count
            }
            state.nextSlot = max(state.nextSlot, current + 1)
            let isEmpty = state.count == 0
            state.isResting = isEmpty && emptySlots >= Self.slotsBeforeRest
            return (due, isEmpty, state.isClosed)
        }
        for body in due { body() }
        emptySlots = isEmpty ? emptySlots + 1 : 0
        return isClosed ? nil : wakening
    }
}
