import HeapModule

/// What happens when, in order of time; at one time, in the order in which it was put in.
struct EventQueue {
    private var heap = Heap<Event>()
    private var count: UInt64 = 0

    struct Event: Comparable {
        var time: Int64
        var number: UInt64
        var action: () -> Void

        static func < (left: Event, right: Event) -> Bool {
            (left.time, left.number) < (right.time, right.number)
        }
        static func == (left: Event, right: Event) -> Bool { left.number == right.number }
    }

    mutating func add(at time: Int64, _ action: @escaping () -> Void) {
        count += 1
        heap.insert(Event(time: time, number: count, action: action))
    }

    mutating func next(until end: Int64) -> Event? {
        guard let first = heap.min, first.time <= end else { return nil }
        return heap.popMin()
    }
}
