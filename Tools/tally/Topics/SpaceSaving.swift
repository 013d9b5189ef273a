/// The heaviest elements of a stream in bounded memory: the space-saving sketch of A. Metwally,
/// D. Agrawal and A. El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data
/// Streams", ICDT 2005.
///
/// It counts `capacity` elements. One that is not among them takes the place of the least, with
/// that one's count as its own and as its possible error. So, of `total` elements: no count is
/// too small; none is too large by more than its `error`, which is at most `total / capacity`;
/// and whatever occurred more often than that is among the counted. While no more than `capacity`
/// different elements came, all counts are exact. A value; used by one thread.
package struct SpaceSaving<Element: Hashable> {
    /// One counted element.
    package struct Counter {
        /// Which.
        package var element: Element
        /// How often it occurred, at most.
        package var count: Int
        /// How much of that may be others'.
        package var error: Int

        /// How often it occurred at least.
        package var countMin: Int { count - error }
    }

    /// Counters that are kept.
    package let capacity: Int
    /// Elements so far.
    package private(set) var total = 0
    /// A heap: each count is at most those at twice its index plus one and plus two.
    private var heap: [Counter] = []
    /// Where in the heap each element is.
    private var places: [Element: Int] = [:]

    /// An empty sketch. The capacity is 1 or more; less counts as 1.
    package init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    /// Whether every count is exact.
    package var isExact: Bool { heap.allSatisfy { $0.error == 0 } }

    /// Different elements that are counted now; all there were while ``isExact``.
    package var counterCount: Int { heap.count }

    /// The most a count can be too large.
    package var errorMax: Int { isExact ? 0 : total / capacity }

    /// Counts an element. Takes time in the logarithm of the capacity.
    package mutating func add(_ element: Element) {
        total += 1
        if let place = places[element] {
            heap[place].count += 1
            sink(from: place)
        } else if heap.count < capacity {
            heap.append(Counter(element: element, count: 1, error: 0))
            places[element] = heap.count - 1
            rise(from: heap.count - 1)
        } else {
            let least = heap[0]
            places[least.element] = nil
            heap[0] = Counter(element: element, count: least.count + 1, error: least.count)
            places[element] = 0
            sink(from: 0)
        }
    }

    /// The heaviest elements, the heaviest first; of equal ones, those that are surer.
    package func heaviest(_ count: Int) -> [Counter] {
        let sorted = heap.sorted { ($0.count, $1.error) > ($1.count, $0.error) }
        return Array(sorted.prefix(max(count, 0)))
    }

    private mutating func sink(from start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count {
                if heap[child].count < heap[least].count { least = child }
            }
            if least == place { return }
            exchange(place, least)
            place = least
        }
    }

    private mutating func rise(from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].count < heap[parent].count else { return }
            exchange(place, parent)
            place = parent
        }
    }

    private mutating func exchange(_ first: Int, _ second: Int) {
        heap.swapAt(first, second)
        places[heap[first].element] = first
        places[heap[second].element] = second
    }
}
