import TallyGroups
import TallyRecords
import Testing

/// A partition that is added reaches a member, whoever leads at that moment.
@Suite("Partitions that are added to a group's topics")
struct PartitionChangeTests {
    typealias Member = MemberTests

    static func leads(_ generation: Int32, skips: Bool = false) throws -> JoinAnswer {
        let metadata = try ConsumerSubscription(topics: ["t"]).encoded()
        return JoinAnswer(
            generation: generation, protocolType: "consumer", protocolName: "roundrobin",
            leaderID: "m", memberID: "m",
            members: [.init(memberID: "m", instanceID: nil, metadata: metadata)],
            skipsAssignment: skips)
    }

    /// Joins as the leader; gives the attempt of the count that it asks for.
    static func joinAsLeader(
        _ member: inout GroupMember, _ generation: Int32, at now: GroupInstant
    ) throws -> UInt64? {
        for case .join(_, let attempt) in member.takeActions() {
            member.joinAnswered(
                .success(try leads(generation)), attempt: attempt, at: now)
        }
        return count(member.takeActions())
    }

    static func count(_ actions: [GroupMemberAction]) -> UInt64? {
        for case .findPartitionCounts(_, let attempt) in actions { return attempt }
        return nil
    }

    static func synced(_ actions: [GroupMemberAction]) throws -> [TopicPartition]? {
        for case .sync(let request, _) in actions {
            return try ConsumerAssignment(decoding: request.assignments["m"] ?? []).partitions
        }
        return nil
    }

    @Test("counts of a round that was given up do not become those of the next")
    func staleCounts() throws {
        var member = Member.member([.roundRobin])
        member.subscribe(to: ["t"], at: Member.at(0))
        let old = try #require(try Self.joinAsLeader(&member, 1, at: Member.at(10)))
        // While somebody counts, the group turns out to have gone on without it.
        member.advance(to: Member.at(20))
        let heartbeat = try #require(Member.heartbeat(member.takeActions()))
        member.heartbeatAnswered(
            .illegalGeneration(given: 1, current: 2), attempt: heartbeat, at: Member.at(30))
        // It leads nothing at this moment, and has nothing to do about a new partition.
        member.partitionsChanged(at: Member.at(40))
        member.advance(to: Member.at(50))
        let new = try #require(try Self.joinAsLeader(&member, 3, at: Member.at(60)))
        // The old count arrives late.
        member.partitionCounts(["t": 1], attempt: old, at: Member.at(70))
        #expect(try Self.synced(member.takeActions()) == nil)
        member.partitionCounts(["t": 2], attempt: new, at: Member.at(80))
        #expect(try Self.synced(member.takeActions())?.count == 2)
    }

    @Test(
        "a static leader that was restarted shares out again only where partitions were added",
        arguments: [(2, false), (3, true)])
    func restartedLeader(count: Int, joinsAgain: Bool) throws {
        var configuration = GroupMemberConfiguration(
            group: "g", clientID: "c", instanceID: "one")
        configuration.assignors = [.roundRobin]
        var before = GroupMember(configuration: configuration)
        before.subscribe(to: ["t"], at: Member.at(0))
        let attempt = try #require(try Self.joinAsLeader(&before, 1, at: Member.at(10)))
        before.partitionCounts(["t": 2], attempt: attempt, at: Member.at(20))
        guard case .sync(let request, _)? = before.takeActions().first else {
            Issue.record("it did not sync")
            return
        }
        for assignment in [request.assignments["m"] ?? [], []] {
            var member = GroupMember(configuration: configuration)
            member.subscribe(to: ["t"], at: Member.at(100))
            for case .join(_, let attempt) in member.takeActions() {
                member.joinAnswered(
                    .success(try Self.leads(1, skips: true)), attempt: attempt, at: Member.at(110))
            }
            for case .sync(_, let attempt) in member.takeActions() {
                let answer = SyncAnswer(
                    protocolType: "consumer", protocolName: "roundrobin", assignment: assignment)
                member.syncAnswered(.success(answer), attempt: attempt, at: Member.at(120))
            }
            let found = try #require(Self.count(member.takeActions()))
            #expect(member.isStable == true)
            member.partitionCounts(["t": count], attempt: found, at: Member.at(130))
            // Where nobody left a note, it cannot tell.
            #expect(member.isStable == !(joinsAgain || assignment.isEmpty))
        }
    }

    @Test("a partition that is added while the static leader is away gets an owner")
    func leaderAway() throws {
        for seed in UInt64(1)...20 {
            let world = try GroupWorld(seed: seed)
            for number in 0..<3 {
                world.start(
                    [.roundRobin], topics: ["stock"], instanceID: "static-\(number)")
            }
            world.run(milliseconds: 30_000)
            try #require(world.unsettled() == nil)
            let generation = world.coordinator.generation(of: GroupWorld.group)
            let leader = try #require(world.coordinator.describe(GroupWorld.group)?.leaderID)
            let old = try #require(world.alive.first { $0.machine.memberID == leader })
            old.isAlive = false
            world.partitionCounts["stock"] = 7
            for member in world.alive { member.machine.partitionsChanged(at: world.now) }
            world.run(milliseconds: 1_000)
            world.start(
                [.roundRobin], topics: ["stock"], instanceID: old.configuration.instanceID)
            world.run(milliseconds: 30_000)
            #expect(world.problems.isEmpty)
            #expect(world.unsettled() == nil, "seed \(seed)")
            #expect(world.coordinator.generation(of: GroupWorld.group) != generation)
        }
    }
}
