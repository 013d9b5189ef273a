import TallyReplication
import Testing

extension ConformanceCheck {
    static let readChecks = [
        ConformanceCheck("keys and values come back as they were put") { fixture in
            let store = try await fixture.client()
            let visible = String(decoding: [UInt8](0x21...0x7E), as: UTF8.self)
            let long = String(repeating: "k", count: CoordinationLimits.keyBytesMax)
            let values: [String: [UInt8]] = [
                visible: [UInt8](0...255), long: [],
                "large": (0..<CoordinationLimits.valueBytesMax).map {
                    UInt8(truncatingIfNeeded: $0)
                },
                "\"\\%/_": [0], "~": [255], "~~": [10, 13],
            ]
            for (key, value) in values {
                let begun = try await store.read(prefix: key).revision
                let revision = try await store.put(key, value)
                let entry = CoordinationEntry(
                    key: key, value: value, modificationRevision: revision)
                #expect(try await store.read(prefix: key).entry(of: key) == entry)
                #expect(
                    try await store.changes(key, after: begun, count: 1) == [.put(entry)])
            }
            // In the order of their bytes, and no wildcard is taken for one.
            #expect(try await store.keys() == values.keys.sorted())
            #expect(try await store.keys("~") == ["~", "~~"])
            #expect(try await store.keys("%") == [])
        },
        ConformanceCheck("a prefix selects what begins with it, of many keys") { fixture in
            let store = try await fixture.client()
            let others = ["partition", "partitions", "partitions.", "partitions0", "q", "A"]
            for key in others { try await store.put(key) }
            let keys = (0..<3000).map { "partitions/\(10_000 + $0)" }
            for first in stride(from: 0, to: keys.count, by: 128) {
                let some = keys[first..<min(first + 128, keys.count)]
                _ = try await store.commit(
                    CoordinationTransaction(
                        operations: some.map { .put(key: $0, value: Array($0.utf8)) }))
            }
            let snapshot = try await store.read(prefix: "partitions/")
            #expect(snapshot.entries.map(\.key) == keys)
            #expect(snapshot.entries.allSatisfy { $0.value == Array($0.key.utf8) })
            #expect(try await store.keys("partitions/1001").count == 10)
            #expect(try await store.keys("partitions") == (Array(others[1...3]) + keys).sorted())
            #expect(try await store.keys("partitions/10000") == ["partitions/10000"])
            #expect(try await store.keys("nothing").isEmpty)
            #expect(try await store.keys().count == keys.count + others.count)
        },
        ConformanceCheck("a key or prefix that cannot be is refused") { fixture in
            let store = try await fixture.client()
            for prefix in ["a b", "ä", "\u{0}"] {
                let error = CoordinationError.invalidKey(prefix)
                await #expect(throws: error) { try await store.read(prefix: prefix) }
                await #expect(throws: error) {
                    for try await _ in store.watch(prefix: prefix, after: .absent) {}
                }
            }
            await #expect(throws: CoordinationError.self) {
                try await store.read(prefix: String(repeating: "k", count: 513))
            }
            for seconds: Int64 in [0, -1, .min, .max] {
                let error = CoordinationError.leaseTimeOutOfRange(
                    seconds: seconds, allowed: CoordinationLimits.leaseSeconds)
                await #expect(throws: error) { try await store.grantLease(seconds: seconds) }
            }
        },
        ConformanceCheck("what one has written another reads at once") { fixture in
            let (writer, reader) = (try await fixture.client(), try await fixture.client())
            for number in 0..<30 {
                let revision = try await writer.put("k", [UInt8(number)])
                let snapshot = try await reader.read(prefix: "k")
                #expect(snapshot.revision == revision)
                #expect(snapshot.entry(of: "k")?.value == [UInt8(number)])
            }
        },
    ]
}
