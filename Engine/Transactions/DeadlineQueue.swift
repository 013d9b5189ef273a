import TallyRecords

/// When each transactional id has to be looked at next: a binary heap in which outdated entries
/// stay until they come up, or until there are more of them than of others.
struct DeadlineQueue: Sendable {
    private struct Entry {
        var time: Timestamp
        var id: String
    }

    private var heap: [Entry] = []
    private var times: [String: Timestamp] = [:]

    /// The earliest deadline; nil without any.
    var earliest: Timestamp? { heap.first?.time }

    /// Sets, moves or (nil) takes away an id's deadline.
    mutating func set(_ id: String, to time: Timestamp?) {
        guard times[id] != time else { return }
        times[id] = time
        if let time { push(Entry(time: time, id: id)) }
        if heap.count > 2 * times.count + 32 { rebuild() }
        dropOutdated()
    }

    /// Takes out all ids whose deadline is not after `now`, earliest first.
    mutating func takeDue(at now: Timestamp) -> [String] {
        var due: [String] = []
        while let first = heap.first, first.time <= now {
            pop()
            times[first.id] = nil
            due.append(first.id)
            dropOutdated()
        }
        return due
    }

    private mutating func rebuild() {
        heap = times.map { Entry(time: $0.value, id: $0.key) }
        // A sorted array is a heap; the ids make the order the same every time.
        heap.sort { ($0.time, $0.id) < ($1.time, $1.id) }
    }

    private mutating func dropOutdated() {
        while let first = heap.first, times[first.id] != first.time { pop() }
    }

    private mutating func push(_ entry: Entry) {
        heap.append(entry)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].time < heap[parent].time else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return }
            if child + 1 < heap.count, heap[child + 1].time < heap[child].time { child += 1 }
            guard heap[child].time < heap[parent].time else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
