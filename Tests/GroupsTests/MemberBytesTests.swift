import TallyGroups
import Testing

@Suite("What members of all groups take together")
struct MemberBytesTests {
    /// Metadata of a size, nearly.
    private func topics(_ byteCount: Int) -> [String] { [String(repeating: "t", count: byteCount)] }

    private func isRefused(_ error: GroupError?) -> Bool {
        if case .coordinatorNotAvailable = error { true } else { false }
    }

    private func expectSound(_ groups: CoordinatorHarness) {
        #expect(groups.box.verify() == nil)
    }

    @Test("a member for whom there is no room is refused in whichever group, and nothing is kept")
    func joins() throws {
        let groups = try CoordinatorHarness { $0.memberBytesMax = 10_000 }
        let first = try #require(
            groups.answer(try groups.join(group: "a", topics: topics(4000)))?.memberID)
        #expect(groups.answer(try groups.join(group: "b", topics: topics(4000))) != nil)
        let before = groups.box.machine.memberBytes
        #expect((8000...10_000).contains(before))
        #expect(isRefused(groups.joinError(try groups.join(group: "c", topics: topics(4000)))))
        #expect(isRefused(groups.joinError(try groups.join(group: "b", topics: topics(4000)))))
        #expect(groups.box.describe("c") == nil, "a group without members is not there")
        #expect(groups.box.describe("b")?.members.count == 1)
        #expect(groups.box.machine.memberBytes == before)
        // Who is there joins again, with what it had; with more it is refused, and stays.
        #expect(groups.answer(try groups.join(first, group: "a", topics: topics(4000))) != nil)
        let more = try groups.join(first, group: "a", topics: topics(8000))
        #expect(isRefused(groups.joinError(more)))
        #expect(groups.box.describe("a")?.members.map(\.memberID) == [first])
        expectSound(groups)
        // When it leaves, another one has its room.
        #expect(groups.leave(first, group: "a") == nil)
        #expect(groups.box.machine.memberBytes < before)
        #expect(groups.answer(try groups.join(group: "c", topics: topics(4000))) != nil)
        expectSound(groups)
    }

    @Test("assignments count, and go with the next rebalance")
    func assignments() throws {
        let groups = try CoordinatorHarness { $0.memberBytesMax = 6000 }
        let leader = try #require(groups.answer(try groups.join(topics: topics(100)))?.memberID)
        let alone = groups.box.machine.memberBytes
        let large = [UInt8](repeating: 1, count: 6000)
        #expect(isRefused(groups.syncError(groups.sync(leader, 1, [leader: large]))))
        #expect(groups.state == .completingRebalance, "it may say so again")
        // What is for nobody is not kept.
        let given = groups.sync(leader, 1, [leader: [UInt8](large.prefix(4000)), "none": large])
        #expect(try groups.syncs[given]?.get().assignment.count == 4000)
        #expect(groups.box.machine.memberBytes == alone + 4000)
        #expect(isRefused(groups.joinError(try groups.join(group: "h", topics: topics(2000)))))
        expectSound(groups)
        try groups.join(leader, topics: topics(100))
        #expect(groups.box.machine.memberBytes == alone)
        #expect(groups.answer(try groups.join(group: "h", topics: topics(2000))) != nil)
        expectSound(groups)
    }

    @Test("ids that were given out count until they expire, are used or given back")
    func pendingIDs() throws {
        let groups = try CoordinatorHarness { $0.memberBytesMax = 3000 }
        var ids: [String] = []
        var refused = 0
        for _ in 0..<10 {
            switch groups.joinError(try groups.join(knownID: true)) {
            case .memberIDRequired(let id): ids.append(id)
            case let error: refused += isRefused(error) ? 1 : 0
            }
        }
        #expect((2...5).contains(ids.count), "each takes half a kibibyte, beside its name")
        #expect(refused == 10 - ids.count)
        expectSound(groups)
        #expect(groups.leave(ids[0]) == nil)
        let before = groups.box.machine.memberBytes
        try groups.join(ids[1])
        // It is a member now, and was only an id.
        #expect((before...before + 200).contains(groups.box.machine.memberBytes))
        expectSound(groups)
        groups.pass(milliseconds: 10_000)
        expectSound(groups)
        #expect(groups.leave(ids[1]) == nil)
        #expect(groups.box.machine.memberBytes == 0)
    }

    @Test("a group that is deleted takes along the ids that were given out")
    func deletion() throws {
        let groups = try CoordinatorHarness()
        try groups.join(knownID: true)
        #expect(groups.box.machine.memberBytes > 0)
        #expect(
            groupError { () throws(GroupError) in try groups.box.machine.deleteGroup("g") } == nil)
        #expect(groups.box.machine.memberBytes == 0)
        expectSound(groups)
    }

    @Test("nothing is counted any more when all members are silent for too long")
    func silence() throws {
        let groups = try CoordinatorHarness()
        _ = try groups.stable(3, instances: ["one", nil, "three"])
        // A static one comes back under a new id, as long as the old one or not.
        try groups.join(instance: "one", topics: topics(300))
        expectSound(groups)
        #expect(groups.box.machine.memberBytes > 3 * 512)
        for _ in 0..<200 { groups.pass(milliseconds: 10_000) }
        #expect(groups.state == .empty)
        #expect(groups.box.machine.memberBytes == 0)
        expectSound(groups)
    }
}
