import TallyReplication
import Testing

extension ConformanceCheck {
    static let watchChecks = [
        ConformanceCheck("a watch gives the past and the present, in order") { fixture in
            let (writer, reader) = (try await fixture.client(), try await fixture.client())
            let begun = try await writer.read(prefix: "").revision
            let first = try await writer.commit(
                .put(key: "w/b", value: [1]), .put(key: "x", value: [2]),
                .put(key: "w/a", value: [3])
            )
            let second = try await writer.commit(.delete(key: "w/b"), .delete(key: "w/none"))
            let task = Task { try await reader.changes("w/", after: begun, count: 4) }
            let third = try await writer.commit(.put(key: "w/b", value: [4]))
            let expected: [CoordinationChange] = [
                .put(.init(key: "w/b", value: [1], modificationRevision: first)),
                .put(.init(key: "w/a", value: [3], modificationRevision: first)),
                .delete(key: "w/b", revision: second),
                .put(.init(key: "w/b", value: [4], modificationRevision: third)),
            ]
            #expect(try await task.value == expected)
            // From the middle, and from before everything.
            #expect(
                try await reader.changes("w/", after: first, count: 2) == Array(expected[2...]))
            #expect(try await reader.changes("w/", after: begun, count: 4) == expected)
            #expect(try await reader.changes("x", after: begun, count: 1).map(\.key) == ["x"])
        },
        ConformanceCheck("the changes of one revision come together") { fixture in
            let store = try await fixture.client()
            let begun = try await store.read(prefix: "").revision
            let task = Task {
                var batches: [CoordinationChanges] = []
                for try await batch in store.watch(prefix: "", after: begun) {
                    batches.append(batch)
                    if batches.reduce(0, { $0 + $1.changes.count }) >= 1280 { break }
                }
                return batches
            }
            for _ in 0..<10 {
                _ = try await store.commit(
                    CoordinationTransaction(
                        operations: (0..<128).map { .put(key: "k\($0)", value: [1]) }))
            }
            for batch in try await task.value {
                #expect(batch.changes.count % 128 == 0)
                #expect(batch.revision >= batch.changes.last?.revision ?? .absent)
            }
        },
        ConformanceCheck("a watcher of many writers ends with what is there") { fixture in
            let begun = try await fixture.client().read(prefix: "").revision
            let watchers = try await (0..<2).asyncMap { _ in
                let store = try await fixture.client()
                return Task { try await replay(store.watch(prefix: "k", after: begun)) }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<3 {
                    let store = try await fixture.client()
                    group.addTask {
                        for number in 0..<40 {
                            let key = "k\((number * 7 + writer) % 11)"
                            if number % 5 == 4 {
                                try await store.commit(.delete(key: key))
                            } else {
                                try await store.put(key, [UInt8(writer), UInt8(number)])
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await fixture.client().put("k-end")
            let snapshot = try await fixture.client().read(prefix: "k")
            for watcher in watchers { #expect(try await watcher.value == snapshot.entries) }
        },
        ConformanceCheck("who is behind the history is told, and reads anew") { fixture in
            let store = try await fixture.client()
            let begun = try await store.read(prefix: "").revision
            try await store.put("a", [1])
            try await store.put("a", [2])
            let last = try await store.put("a", [3])
            try await fixture.compact(through: last)
            let error = await #expect(throws: CoordinationError.self) {
                for try await _ in store.watch(prefix: "", after: begun) {}
            }
            guard case .compacted(begun, let oldest)? = error else {
                throw Unexpected(text: "\(String(describing: error))")
            }
            #expect(oldest > begun)
            let snapshot = try await store.read(prefix: "")
            #expect(snapshot.entries.map(\.value) == [[3]])
            let task = Task { try await store.changes(after: snapshot.revision, count: 1) }
            try await store.put("a", [4])
            #expect(try await task.value.map(\.key) == ["a"])
        },
        ConformanceCheck("a watch ends when its task is cancelled") { fixture in
            let store = try await fixture.client()
            let begun = try await store.read(prefix: "").revision
            let task = Task {
                for try await _ in store.watch(prefix: "", after: begun) {
                    Issue.record("nothing was changed")
                }
            }
            try await Task.sleep(for: .milliseconds(100))
            task.cancel()
            try await task.value
        },
    ]

    /// What is there behind all changes until `k-end` is put. Revisions rise, and nothing is
    /// deleted that was not there.
    private static func replay(_ watch: CoordinationWatch) async throws -> [CoordinationEntry] {
        var entries: [String: CoordinationEntry] = [:]
        var last = CoordinationRevision.absent
        for try await batch in watch {
            for change in batch.changes {
                #expect(change.revision > last)
                last = change.revision
                switch change {
                case .put(let entry): entries[entry.key] = entry
                case .delete(let key, _): #expect(entries.removeValue(forKey: key) != nil)
                }
            }
            #expect(batch.revision >= last)
            if entries["k-end"] != nil { break }
        }
        return entries.values.sorted { $0.key < $1.key }
    }
}

extension Range<Int> {
    /// One after the other.
    func asyncMap<Value>(_ body: (Int) async throws -> Value) async rethrows -> [Value] {
        var values: [Value] = []
        for number in self { values.append(try await body(number)) }
        return values
    }
}
