import Testing

@testable import TallyStateStore

@Suite("The table of keys")
struct KeyTableTests {
    @Test("keys of every length are found by their bytes, and others are not")
    func findsKeys() {
        var table = KeyTable()
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        var numbers: [[UInt8]: Int] = [:]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<20, using: &random)
            let key = (0..<count).map { _ in UInt8.random(in: 0...3, using: &random) }
            let hash = table.hash(key.rawSpan)
            let found = table.number(of: key.rawSpan, hash: hash)
            #expect(found == numbers[key])
            if found == nil { numbers[key] = table.insert(key.rawSpan, hash: hash) }
        }
        #expect(table.count == numbers.count && numbers.count > 5000)
    }

    @Test("keys whose hashes collide are told apart")
    func collisions() {
        var table = KeyTable()
        let keys = (0..<500).map { Array("key-\($0)".utf8) }
        for (number, key) in keys.enumerated() {
            #expect(table.number(of: key.rawSpan, hash: 7) == nil)
            // The table grows by the true hash, so this one holds for as long as it does not.
            if number < 400 { #expect(table.insert(key.rawSpan, hash: 7) == number) }
        }
        for (number, key) in keys.prefix(400).enumerated() {
            #expect(table.number(of: key.rawSpan, hash: 7) == number)
        }
    }
}
