import TallyGroups
import TallyRecords
import TallyTestSupport
import Testing

/// Commits of several callers that are stored with one write.
@Suite("Commits that share a write")
struct SharedCommitTests {
    static func request(
        _ group: String, _ offset: Int64, partition: Int32 = 0, topic: String = "t",
        caller: GroupCaller = .outside
    ) -> OffsetCommitRequest {
        let partition = TopicPartition(topic: topic, partition: partition)
        return OffsetCommitRequest(
            group: group, caller: caller, offsets: [partition: .init(offset: Offset(offset))])
    }

    static func offsets(_ harness: CoordinatorHarness, _ group: String) -> [Int32: Int64] {
        var offsets: [Int32: Int64] = [:]
        for case (let partition, .success(let offset)) in harness.box.machine.fetchOffsets(
            group: group)
        {
            offsets[partition.partition] = offset.offset.rawValue
        }
        return offsets
    }

    static func isAccepted(_ result: Result<[TopicPartition: GroupError], GroupError>) -> Bool {
        (try? result.get())?.isEmpty ?? false
    }

    @Test("a sequence that cannot rise any more is kept, and is no trap")
    func lastSequence() throws {
        let store = InMemoryOffsetStore()
        let partition = TopicPartition(topic: "t", partition: 0)
        let stored = CommittedOffset(
            offset: Offset(1), commitTimestamp: Timestamp(milliseconds: 0), sequence: .max)
        try store.apply([.offsets(group: "g", [partition: stored])])
        let harness = try CoordinatorHarness(store: store)
        for offset in Int64(2)...3 {
            let result = harness.box.machine.commit([Self.request("g", offset)], at: harness.time)
            #expect(Self.isAccepted(result[0]))
            #expect(Self.offsets(harness, "g") == [0: offset])
        }
    }

    @Test("one write takes all that is accepted; what is refused takes nothing along")
    func refusedAlone() throws {
        let store = FailingStore()
        let harness = try CoordinatorHarness(store: store)
        let ids = try harness.stable(1)
        let member = GroupCaller(memberID: ids[0], generation: 1)
        let zombie = GroupCaller(memberID: ids[0], generation: 0)
        let writes = store.writeCount
        let results = harness.box.machine.commit(
            [
                Self.request("g", 1, caller: member),
                Self.request("g", 9, partition: 1, caller: zombie),
                Self.request("h", 5),
                Self.request("", 5),
                Self.request("h", -1, partition: 1),
                Self.request("g", 2, caller: member),
                Self.request("h", 5, partition: 2, topic: "t\0"),
                Self.request("h\0", 5),
            ], at: harness.time)
        #expect(
            results.map(Self.isAccepted) == [true, false, true, false, false, true, false, false])
        #expect(store.writeCount == writes + 1)
        // Of two commits for a partition the later counts.
        #expect(Self.offsets(harness, "g") == [0: 2])
        #expect(Self.offsets(harness, "h") == [0: 5])
        let after = try CoordinatorHarness(store: store)
        #expect(Self.offsets(after, "g") == [0: 2] && Self.offsets(after, "h") == [0: 5])
    }

    @Test("where only refused commits wait, nothing is written, and no group comes of it")
    func nothingAccepted() throws {
        let store = FailingStore()
        let harness = try CoordinatorHarness(store: store)
        let results = harness.box.machine.commit(
            [
                Self.request("h", -1),
                Self.request("g", 1, caller: .init(memberID: "m", generation: 3)),
            ],
            at: harness.time)
        #expect(results.allSatisfy { !Self.isAccepted($0) })
        #expect(store.writeCount == 0)
        #expect(harness.box.machine.list().isEmpty)
    }

    @Test("a store that fails fails the whole turn, and memory is as the store is")
    func storeFails() throws {
        let store = FailingStore()
        let harness = try CoordinatorHarness(store: store)
        _ = harness.box.machine.commit([Self.request("g", 1)], at: harness.time)
        store.isFailing = true
        let results = harness.box.machine.commit(
            [Self.request("g", 2), Self.request("new", 3), Self.request("", 3)], at: harness.time)
        let unavailable = GroupError.coordinatorNotAvailable(reason: "the disk is full")
        let errors = results.map { result in
            if case .failure(let error) = result { error } else { nil as GroupError? }
        }
        #expect(errors == [unavailable, unavailable, .invalidGroupID("")])
        #expect(Self.offsets(harness, "g") == [0: 1])
        #expect(harness.box.machine.list().map(\.group) == ["g"])
        store.isFailing = false
        #expect(
            harness.box.machine.commit([Self.request("g", 4)], at: harness.time)
                .allSatisfy(Self.isAccepted))
        #expect(Self.offsets(harness, "g") == [0: 4])
    }

    /// A store that fails now and then, two coordinators: what one commits one by one, the other
    /// commits in turns.
    @Test("turns of commits give what commits one by one give")
    func random() throws {
        var generator = SeededGenerator.fromEnvironment("turns of commits")
        for _ in 0..<200 {
            let stores = [FailingStore(), FailingStore()]
            let harnesses = try stores.map { try CoordinatorHarness(store: $0) }
            for _ in 0..<8 {
                let fails = Int.random(in: 0..<4, using: &generator) == 0
                for store in stores { store.isFailing = fails }
                let turn = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                    Self.request(
                        ["g", "h", ""].randomElement(using: &generator) ?? "",
                        Int64.random(in: -1...100, using: &generator),
                        partition: Int32.random(in: 0..<3, using: &generator),
                        caller: Bool.random(using: &generator)
                            ? .outside : GroupCaller(memberID: "m", generation: 1))
                }
                let shared = harnesses[0].box.machine.commit(turn, at: harnesses[0].time)
                let single = turn.flatMap {
                    harnesses[1].box.machine.commit([$0], at: harnesses[1].time)
                }
                #expect(shared.map(Self.isAccepted) == single.map(Self.isAccepted))
            }
            for group in ["g", "h"] {
                let expected = Self.offsets(harnesses[1], group)
                #expect(Self.offsets(harnesses[0], group) == expected)
                stores[0].isFailing = false
                let reloaded = try CoordinatorHarness(store: stores[0])
                #expect(Self.offsets(reloaded, group) == expected)
            }
        }
    }
}
