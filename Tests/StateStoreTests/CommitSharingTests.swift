import Synchronization
import Tally
import TallyGroups
import TallyStateStore
import TallyTestSupport
import TallyTransactions
import Testing

/// Commits of an engine's callers, which share writes to `state.db`.
@Suite(.timeLimit(.minutes(10))) struct CommitSharingTests {
    /// `state.db`, with the writes counted.
    private final class CountedState: EngineState {
        let inner: SQLiteState
        let counted: CountedStore
        var offsets: any OffsetStore { counted }
        var transactions: any TransactionStore { inner.transactions }

        init(_ inner: SQLiteState) {
            self.inner = inner
            counted = CountedStore(inner.offsets)
        }

        func identifyTopics(by identify: @escaping @Sendable (_ topic: String) -> TopicID?) {
            inner.identifyTopics(by: identify)
        }

        func close() throws { try inner.close() }
    }

    private final class CountedStore: OffsetStore {
        private let inner: any OffsetStore
        let writes = Atomic<Int>(0)

        init(_ inner: any OffsetStore) { self.inner = inner }

        func loadGroups() throws(OffsetStoreError) -> [StoredGroup] { try inner.loadGroups() }

        func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
            writes.add(1, ordering: .relaxed)
            try inner.apply(changes)
        }
    }

    @Test("many callers' commits need few writes, and each is stored when it returns")
    func sharing() async throws {
        let directory = try TemporaryDirectory()
        let state = Mutex<CountedState?>(nil)
        var configuration = EngineConfiguration()
        configuration.state = EngineStateFactory { path in
            let opened = CountedState(try SQLiteState.open(inDataDirectory: path))
            state.withLock { $0 = opened }
            return opened
        }
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        let (callers, rounds) = (32, 10)
        try await withThrowingTaskGroup { group in
            for caller in 0..<callers {
                group.addTask {
                    let partition = TopicPartition(topic: "t", partition: Int32(caller))
                    for round in 1...rounds {
                        try await engine.commitOffsets(
                            [partition: OffsetToCommit(offset: Offset(Int64(round)))],
                            ofGroup: "g\(caller % 3)")
                        // Refused commits of others are in the same turns.
                        await #expect(throws: EngineError.self) {
                            try await engine.commitOffsets(
                                [partition: OffsetToCommit(offset: Offset(-1))], ofGroup: "g0")
                        }
                        let found = try await engine.committedOffsets(ofGroup: "g\(caller % 3)")
                        #expect(found[partition]?.offset == Offset(Int64(round)))
                    }
                }
            }
            try await group.waitForAll()
        }
        let writes = state.withLock { $0?.counted.writes.load(ordering: .relaxed) ?? 0 }
        #expect(writes > 0 && writes <= callers * rounds / 2, "\(writes) writes")
        try await engine.close()
        let reopened = try SQLiteState.open(inDataDirectory: directory.path)
        let stored = try reopened.offsets.loadGroups().flatMap(\.offsets.values)
        #expect(stored.count == callers)
        #expect(stored.allSatisfy { $0.offset == Offset(Int64(rounds)) })
        try reopened.close()
    }

    @Test("offsets of a topic that went while groups were not there do not count for the next")
    func deletedElsewhere() async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        let partition = TopicPartition(topic: "t", partition: 0)
        let first = try await Engine.open(at: directory.path, configuration: configuration)
        try await first.createTopic("t", partitions: 1)
        try await first.commitOffsets(
            [partition: OffsetToCommit(offset: Offset(7))], ofGroup: "g")
        try await first.close()
        // As a crash in the middle of the deletion would leave it.
        let other = try await Engine.open(at: directory.path)
        try await other.deleteTopic("t")
        try await other.close()
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        #expect(try await engine.groupListings().map(\.group) == ["g"])
        try await engine.createTopic("t", partitions: 1)
        #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)
        try await engine.close()
    }

    @Test("the stack of a commit does not grow with the commits before it")
    func manyCommits() async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic("t", partitions: 1)
        let partition = TopicPartition(topic: "t", partition: 0)
        let count: Int64 = 8_000
        for offset in 1...count {
            try await engine.commitOffsets(
                [partition: OffsetToCommit(offset: Offset(offset))], ofGroup: "g")
        }
        let offsets = try await engine.committedOffsets(ofGroup: "g")
        #expect(offsets[partition]?.offset == Offset(count))
        try await engine.close()
    }

    @Test("two spellings of a group's name that are equal are one group, in the store as well")
    func spellings() async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        let partition = TopicPartition(topic: "t", partition: 0)
        // An e with an accent, as one character and as two.
        for (offset, group) in ["caf\u{e9}", "cafe\u{301}"].enumerated() {
            try await engine.commitOffsets(
                [partition: OffsetToCommit(offset: Offset(Int64(offset + 1)))], ofGroup: group)
        }
        try await engine.close()
        let again = try await Engine.open(at: directory.path, configuration: configuration)
        let offsets = try await again.committedOffsets(ofGroup: "caf\u{e9}")
        #expect(offsets[partition]?.offset == Offset(2))
        try await again.close()
    }
}
