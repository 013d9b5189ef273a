import TallyReplication
import Testing

@Suite("What a transaction may be")
struct CoordinationTransactionTests {
    @Test("128 operations and as many conditions are allowed, and no more")
    func operationLimit() throws {
        func puts(_ count: Int) -> [CoordinationOperation] {
            (0..<count).map { .put(key: "k/\($0)", value: []) }
        }
        func conditions(_ count: Int) -> [CoordinationCondition] {
            (0..<count).map { .absent(key: "k/\($0)") }
        }
        _ = try CoordinationTransaction(conditions: conditions(128), operations: puts(128))
        let error = CoordinationError.tooManyOperations(count: 129, limit: 128)
        #expect(throws: error) { try CoordinationTransaction(operations: puts(129)) }
        #expect(throws: error) {
            try CoordinationTransaction(conditions: conditions(129), operations: puts(1))
        }
    }

    @Test(
        "a key is visible ASCII",
        arguments: ["", " ", "a b", "a\n", "a\u{0}", "\u{7F}", "ä", "a\u{308}", "😀"])
    func keys(key: String) throws {
        #expect(throws: CoordinationError.invalidKey(key)) {
            try CoordinationTransaction(operations: [.delete(key: key)])
        }
        #expect(throws: CoordinationError.invalidKey(key)) {
            try CoordinationTransaction(conditions: [.exists(key: key)], operations: [])
        }
        guard !key.isEmpty else { return }
        #expect(throws: CoordinationError.invalidKey(key)) {
            try CoordinationLedger().read(prefix: key)
        }
    }

    @Test("a key is written once")
    func duplicates() throws {
        #expect(throws: CoordinationError.duplicateKey("a")) {
            try CoordinationTransaction(operations: [.put(key: "a", value: []), .delete(key: "a")])
        }
        _ = try CoordinationTransaction(
            conditions: [.exists(key: "a"), .modified(key: "a", revision: .init(3))],
            operations: [.delete(key: "a")])
    }

    @Test("keys, values and the whole have a size")
    func sizes() throws {
        let key = String(repeating: "k", count: CoordinationLimits.keyBytesMax)
        let value = [UInt8](repeating: 0, count: CoordinationLimits.valueBytesMax)
        _ = try CoordinationTransaction(operations: [.put(key: key, value: value)])
        #expect(
            throws: CoordinationError.keyTooLarge(key: key + "k", byteCount: 513, limit: 512)
        ) { try CoordinationTransaction(operations: [.delete(key: key + "k")]) }
        #expect(
            throws: CoordinationError.valueTooLarge(
                key: "k", byteCount: value.count + 1, limit: value.count)
        ) { try CoordinationTransaction(operations: [.put(key: "k", value: value + [0])]) }
        #expect(
            throws: CoordinationError.transactionTooLarge(
                byteCount: 2 * value.count + 2, limit: 1_048_576)
        ) {
            try CoordinationTransaction(operations: [
                .put(key: "a", value: value), .put(key: "b", value: value),
            ])
        }
    }

    @Test("an entry is found by its key")
    func entries() {
        let entries = (0..<50).map { number in
            CoordinationEntry(
                key: "k\(100 + 2 * number)", value: [], modificationRevision: .init(1))
        }
        let snapshot = CoordinationSnapshot(entries: entries, revision: .init(1))
        for entry in entries { #expect(snapshot.entry(of: entry.key) == entry) }
        for number in stride(from: 99, to: 202, by: 2) {
            #expect(snapshot.entry(of: "k\(number)") == nil)
        }
        #expect(CoordinationSnapshot(entries: [], revision: .absent).entry(of: "a") == nil)
    }
}
