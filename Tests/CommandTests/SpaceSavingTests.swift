import TallyCommand
import TallyTestSupport
import Testing

@Suite struct SpaceSavingTests {
    @Test("while there are counters enough, counts are exact")
    func exact() {
        var sketch = SpaceSaving<String>(capacity: 3)
        for element in ["a", "b", "a", "c", "a", "b"] { sketch.add(element) }
        #expect(sketch.isExact && sketch.errorMax == 0 && sketch.total == 6)
        #expect(sketch.heaviest(2).map(\.element) == ["a", "b"])
        #expect(sketch.heaviest(9).map(\.count) == [3, 2, 1])
        #expect(sketch.heaviest(0).isEmpty)
    }

    @Test("a newcomer takes the least one's place, with its count as its error")
    func newcomer() {
        var sketch = SpaceSaving<String>(capacity: 2)
        for element in ["a", "a", "b", "c"] { sketch.add(element) }
        let heaviest = sketch.heaviest(2)
        #expect(heaviest.map(\.element) == ["a", "c"])
        #expect(heaviest[1].count == 2 && heaviest[1].error == 1 && heaviest[1].countMin == 1)
        #expect(!sketch.isExact && sketch.errorMax == 2)
    }

    @Test("bounds hold for any stream", arguments: 0..<20)
    func bounds(_ round: Int) {
        var generator = SeededGenerator.fromEnvironment("spaceSaving \(round)")
        func next() -> Int { Int.random(in: 0..<1_000_000, using: &generator) }
        let capacity = 1 + next() % 40
        var sketch = SpaceSaving<Int>(capacity: capacity)
        var counts: [Int: Int] = [:]
        for _ in 0..<3000 {
            // The smaller of two: some elements are much more frequent than others.
            let element = min(next() % 200, next() % 200) / (1 + next() % 3)
            sketch.add(element)
            counts[element, default: 0] += 1
        }
        let counters = sketch.heaviest(capacity)
        #expect(counters.count == min(capacity, counts.count))
        #expect(counters.reduce(0) { $0 + $1.count } == sketch.total)
        for counter in counters {
            let exact = counts[counter.element] ?? 0
            #expect(counter.countMin <= exact && exact <= counter.count)
            #expect(counter.error <= sketch.total / capacity)
        }
        let counted = Set(counters.map(\.element))
        for (element, count) in counts where count > sketch.total / capacity {
            #expect(counted.contains(element))
        }
    }
}
