import TallyGroups
import TallyRecords

/// A coordinator in a test that goes through it step by step.
final class CoordinatorHarness {
    let store: any OffsetStore
    let box: CoordinatorBox
    private(set) var now = GroupInstant(milliseconds: 0)
    private var nextToken: UInt64 = 0
    var joins: [GroupToken: Result<JoinAnswer, GroupError>] = [:]
    var syncs: [GroupToken: Result<SyncAnswer, GroupError>] = [:]

    init(
        store: any OffsetStore = InMemoryOffsetStore(), memberIDs: MemberIDs = MemberIDs(),
        _ change: (inout GroupConfiguration) -> Void = { _ in }
    ) throws {
        self.store = store
        var configuration = GroupConfiguration()
        change(&configuration)
        box = try CoordinatorBox(
            configuration, store, memberIDs, at: GroupWorld.time(GroupInstant(milliseconds: 0)))
    }

    var time: GroupTime { GroupWorld.time(now) }
    var state: GroupState? { box.describe("g")?.state }
    var generation: Int32? { box.describe("g")?.generation }
    var memberIDs: [String] { box.describe("g")?.members.map(\.memberID) ?? [] }

    func pass(milliseconds: Int64) {
        now = now.advanced(byMilliseconds: milliseconds)
        box.advance(to: time)
        collect()
    }

    private func collect() {
        for effect in box.takeEffects() {
            switch effect {
            case .joinAnswered(let token, let result): joins[token] = result
            case .syncAnswered(let token, let result): syncs[token] = result
            }
        }
    }

    /// Sends a join; its answer is in `joins` now or later.
    @discardableResult
    func join(
        _ memberID: String = "", group: String = "g", instance: String? = nil,
        topics: [String] = ["t"],
        owned: [TopicPartitions] = [], names: [String] = ["range"], knownID: Bool = false,
        skips: Bool = true, rebalance: Int64 = 60_000, session: Int64 = 10_000,
        type: String = "consumer"
    ) throws -> GroupToken {
        let metadata = try ConsumerSubscription(topics: topics, ownedPartitions: owned).encoded()
        nextToken += 1
        let token = GroupToken(nextToken)
        box.join(
            JoinRequest(
                group: group, memberID: memberID, instanceID: instance, clientID: "c",
                sessionTimeoutMilliseconds: session, rebalanceTimeoutMilliseconds: rebalance,
                protocolType: type, protocols: names.map { .init(name: $0, metadata: metadata) },
                requiresKnownMemberID: knownID, supportsSkippingAssignment: skips),
            token: token, at: time)
        collect()
        return token
    }

    @discardableResult
    func sync(
        _ memberID: String, _ generation: Int32, group: String = "g", instance: String? = nil,
        _ assignments: [String: [UInt8]] = [:]
    ) -> GroupToken {
        nextToken += 1
        let token = GroupToken(nextToken)
        box.sync(
            SyncRequest(
                group: group,
                caller: GroupCaller(
                    memberID: memberID, instanceID: instance, generation: generation),
                assignments: assignments), token: token, at: time)
        collect()
        return token
    }

    func heartbeat(_ memberID: String, _ generation: Int32, instance: String? = nil) -> GroupError?
    {
        box.heartbeat(
            group: "g",
            caller: GroupCaller(
                memberID: memberID, instanceID: instance, generation: generation), at: time)
    }

    @discardableResult
    func leave(_ memberID: String, group: String = "g", instance: String? = nil) -> GroupError? {
        let result = box.machine.leave(
            group: group, members: [LeavingMember(memberID: memberID, instanceID: instance)],
            at: time)
        collect()
        if case .failure(let error) = result[0] { return error }
        return nil
    }

    func answer(_ token: GroupToken) -> JoinAnswer? { try? joins[token]?.get() }

    func joinError(_ token: GroupToken) -> GroupError? {
        if case .failure(let error) = joins[token] { return error }
        return nil
    }

    func syncError(_ token: GroupToken) -> GroupError? {
        if case .failure(let error) = syncs[token] { return error }
        return nil
    }

    /// A stable group of members that joined one after another; the first leads.
    func stable(_ count: Int, instances: [String?] = []) throws -> [String] {
        var ids: [String] = []
        for index in 0..<count {
            let instance = index < instances.count ? instances[index] : nil
            var token = try join(instance: instance)
            for (other, id) in ids.enumerated() {
                let otherInstance = other < instances.count ? instances[other] : nil
                token = try join(id, instance: otherInstance)
            }
            _ = token
            ids = memberIDs
        }
        let generation = generation ?? 0
        for (index, id) in ids.enumerated().reversed() {
            let instance = index < instances.count ? instances[index] : nil
            sync(
                id, generation, instance: instance,
                Dictionary(uniqueKeysWithValues: ids.map { ($0, Array($0.utf8)) }))
        }
        return ids
    }

    /// Commits one offset; the error of the request or of the partition.
    func commit(
        _ offset: Int64, caller: GroupCaller = .outside, partition: Int32 = 0, metadata: String = ""
    ) -> GroupError? {
        let partition = TopicPartition(topic: "t", partition: partition)
        do throws(GroupError) {
            return try box.machine.commit(
                OffsetCommitRequest(
                    group: "g", caller: caller,
                    offsets: [partition: .init(offset: Offset(offset), metadata: metadata)]),
                at: time)[partition]
        } catch {
            return error
        }
    }

    func fetch(_ partition: Int32 = 0, stable: Bool = false) -> Result<Int64, GroupError>? {
        let partition = TopicPartition(topic: "t", partition: partition)
        return box.machine.fetchOffsets(
            group: "g", partitions: [partition], requiresStable: stable)[partition]?
            .map(\.offset.rawValue)
    }
}

/// Runs a body that throws a group error; gives the error.
func groupError(_ body: () throws(GroupError) -> Void) -> GroupError? {
    do throws(GroupError) {
        try body()
        return nil
    } catch {
        return error
    }
}

/// A store that fails when told to.
final class FailingStore: OffsetStore, @unchecked Sendable {
    let inner = InMemoryOffsetStore()
    var isFailing = false
    private(set) var writeCount = 0

    func loadGroups() throws(OffsetStoreError) -> [StoredGroup] { try inner.loadGroups() }

    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        if isFailing { throw OffsetStoreError(reason: "the disk is full") }
        try inner.apply(changes)
        writeCount += 1
    }
}
