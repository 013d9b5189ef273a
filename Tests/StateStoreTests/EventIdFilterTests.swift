import Testing

@testable import TallyStateStore

@Suite("The filter of event ids")
struct EventIdFilterTests {
    @Test("it never denies an id that was added, and denies nearly all others")
    func verdicts() {
        var filter = EventIdFilter(capacity: 20_000)
        for number in 0..<20_000 {
            filter.insert(partition: Int32(number % 12), id: Array("id-\(number)".utf8).rawSpan)
        }
        #expect(filter.isFull)
        var falseAlarms = 0
        for number in 0..<20_000 {
            let id = Array("id-\(number)".utf8)
            let partition = Int32(number % 12)
            let isKnown = filter.mayContain(partition: partition, id: id.rawSpan)
            #expect(isKnown)
            if filter.mayContain(partition: partition + 1, id: id.rawSpan) { falseAlarms += 1 }
        }
        #expect(falseAlarms < 400)
    }
}
