import TallyGroups
import TallyRecords
import Testing

@Suite("A member of a group")
struct MemberTests {
    static func at(_ milliseconds: Int64) -> GroupInstant {
        GroupInstant(milliseconds: milliseconds)
    }

    static func partitions(_ numbers: Int32...) -> Set<TopicPartition> {
        Set(numbers.map { TopicPartition(topic: "t", partition: $0) })
    }

    /// Takes a member through a round as a follower; gives what it is told to do afterwards.
    static func round(
        _ member: inout GroupMember, generation: Int32, _ numbers: [Int32], at now: GroupInstant,
        topic: String = "t"
    ) throws -> [GroupMemberAction] {
        for action in member.takeActions() {
            guard case .join(_, let attempt) = action else { continue }
            member.joinAnswered(
                .success(Self.joined(generation)), attempt: attempt, at: now)
        }
        for action in member.takeActions() {
            guard case .sync(_, let attempt) = action else { continue }
            let assignment = ConsumerAssignment(
                assignedPartitions: [.init(topic: topic, partitions: numbers)])
            member.syncAnswered(
                .success(try Self.synced(assignment)), attempt: attempt, at: now)
        }
        return member.takeActions()
    }

    static func joined(_ generation: Int32) -> JoinAnswer {
        JoinAnswer(
            generation: generation, protocolType: "consumer", protocolName: "range",
            leaderID: "other", memberID: "m", members: [], skipsAssignment: false)
    }

    static func synced(_ assignment: ConsumerAssignment) throws -> SyncAnswer {
        SyncAnswer(
            protocolType: "consumer", protocolName: "range", assignment: try assignment.encoded())
    }

    static func member(_ assignors: [Assignor]) -> GroupMember {
        var configuration = GroupMemberConfiguration(group: "g", clientID: "c")
        configuration.assignors = assignors
        configuration.sessionTimeoutMilliseconds = 10_000
        configuration.pollIntervalMillisecondsMax = 60_000
        return GroupMember(configuration: configuration)
    }

    static func revocation(_ actions: [GroupMemberAction]) -> (Set<TopicPartition>, UInt64)? {
        for case .revoke(let going, let attempt) in actions { return (going, attempt) }
        return nil
    }

    static func heartbeat(_ actions: [GroupMemberAction]) -> UInt64? {
        for case .heartbeat(_, _, let attempt) in actions { return attempt }
        return nil
    }

    static func joinRequest(_ actions: [GroupMemberAction]) -> JoinRequest? {
        for case .join(let request, _) in actions { return request }
        return nil
    }

    @Test("an eager member gives up everything before it joins again")
    func eager() throws {
        var member = Self.member([.range])
        member.subscribe(to: ["t"], at: Self.at(0))
        let first = try Self.round(&member, generation: 1, [0, 1], at: Self.at(10))
        #expect(first == [.assigned(Self.partitions(0, 1))])
        member.advance(to: Self.at(20))
        let attempt = try #require(Self.heartbeat(member.takeActions()))
        member.heartbeatAnswered(.rebalanceInProgress, attempt: attempt, at: Self.at(30))
        let (going, revocation) = try #require(Self.revocation(member.takeActions()))
        #expect(going == Self.partitions(0, 1))
        // Until the application is done, it can still commit, and sends no join.
        #expect(member.owned == going)
        member.revocationDone(attempt: revocation, at: Self.at(40))
        #expect(member.owned == [])
        let second = try Self.round(&member, generation: 2, [1], at: Self.at(50))
        #expect(second == [.assigned(Self.partitions(1))])
    }

    @Test("a cooperative member keeps reading, gives up only what moves, and joins again")
    func cooperative() throws {
        var member = Self.member([.cooperativeSticky])
        member.subscribe(to: ["t"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0, 1, 2], at: Self.at(10))
        member.advance(to: Self.at(20))
        let attempt = try #require(Self.heartbeat(member.takeActions()))
        member.heartbeatAnswered(.rebalanceInProgress, attempt: attempt, at: Self.at(30))
        #expect(member.owned == Self.partitions(0, 1, 2))
        let actions = try Self.round(&member, generation: 2, [0, 1], at: Self.at(40))
        let (going, revocation) = try #require(Self.revocation(actions))
        #expect(going == Self.partitions(2))
        member.revocationDone(attempt: revocation, at: Self.at(50))
        let then = member.takeActions()
        #expect(then.first == .assigned([]))
        let request = try #require(Self.joinRequest(then))
        let said = try ConsumerSubscription(decoding: request.protocols[0].metadata)
        #expect(Set(said.owned.partitions) == Self.partitions(0, 1))
        #expect(said.generation == 2)
    }

    @Test("a member that the group does not know any more has lost its partitions")
    func lost() throws {
        var member = Self.member([.cooperativeSticky])
        member.subscribe(to: ["t"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0], at: Self.at(10))
        member.advance(to: Self.at(20))
        let attempt = try #require(Self.heartbeat(member.takeActions()))
        member.heartbeatAnswered(.unknownMemberID("m"), attempt: attempt, at: Self.at(30))
        #expect(member.takeActions() == [.lost(Self.partitions(0))])
        #expect(throws: GroupError.self) { try Self.commit(member, 0) }
        member.advance(to: Self.at(30))
        #expect(Self.joinRequest(member.takeActions())?.memberID == "")
    }

    static func commit(_ member: borrowing GroupMember, _ number: Int32) throws {
        _ = try member.commitRequest([
            TopicPartition(topic: "t", partition: number): .init(offset: Offset(1))
        ])
    }

    @Test("only what is owned can be committed")
    func commits() throws {
        var member = Self.member([.range])
        #expect(throws: GroupError.unknownMemberID("")) { try Self.commit(member, 0) }
        member.subscribe(to: ["t"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0], at: Self.at(10))
        try Self.commit(member, 0)
        #expect(throws: GroupError.self) { try Self.commit(member, 1) }
    }

    @Test("without answers to heartbeats a member ends its own session, and joins again")
    func sessionEnds() throws {
        var member = Self.member([.range])
        member.subscribe(to: ["t"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0], at: Self.at(5000))
        member.advance(to: Self.at(5000))
        let attempt = try #require(Self.heartbeat(member.takeActions()))
        member.heartbeatAnswered(nil, attempt: attempt, at: Self.at(6000))
        // Counted from 5,000, when the heartbeat was sent that was answered.
        member.advance(to: Self.at(14_999))
        #expect(member.owned == Self.partitions(0))
        #expect(member.nextDeadline == Self.at(15_000))
        _ = member.takeActions()
        member.advance(to: Self.at(15_000))
        let actions = member.takeActions()
        #expect(actions.first == .lost(Self.partitions(0)))
        #expect(Self.joinRequest(actions)?.memberID == "m")
    }

    @Test("an application that asks for nothing for max.poll.interval.ms is out until it asks")
    func pollInterval() throws {
        var member = Self.member([.range])
        member.subscribe(to: ["t"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0], at: Self.at(59_000))
        member.advance(to: Self.at(60_000))
        #expect(
            member.takeActions() == [
                .lost(Self.partitions(0)), .leave(group: "g", LeavingMember(memberID: "m")),
            ])
        #expect(member.nextDeadline == nil)
        member.polled(at: Self.at(70_000))
        #expect(Self.joinRequest(member.takeActions()) != nil)
    }

    @Test("a member that was stopped while it waited does not believe the answer")
    func paused() throws {
        var member = Self.member([.cooperativeSticky])
        member.subscribe(to: ["t"], at: Self.at(0))
        guard case .join(_, let attempt)? = member.takeActions().first else { return }
        #expect(member.nextDeadline == Self.at(3000))
        member.advance(to: Self.at(7000))
        #expect(Self.joinRequest(member.takeActions()) != nil)
        member.joinAnswered(.success(Self.joined(1)), attempt: attempt, at: Self.at(7000))
        #expect(member.generation == -1)
    }

    @Test("closing gives up, then leaves; a static member does not leave", arguments: [nil, "one"])
    func close(instanceID: String?) throws {
        var configuration = GroupMemberConfiguration(
            group: "g", clientID: "c", instanceID: instanceID)
        configuration.assignors = [.range]
        var member = GroupMember(configuration: configuration)
        member.subscribe(to: ["t"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0], at: Self.at(10))
        member.close(at: Self.at(20))
        let (_, revocation) = try #require(Self.revocation(member.takeActions()))
        #expect(member.hasEnded == false)
        member.revocationDone(attempt: revocation, at: Self.at(30))
        #expect(member.hasEnded && member.owned == [])
        let leave = GroupMemberAction.leave(group: "g", LeavingMember(memberID: "m"))
        #expect(member.takeActions() == (instanceID == nil ? [leave] : []))
    }

    @Test("a member that closes while it is given an id does not leave the group waiting for it")
    func closeWhileJoining() throws {
        var member = Self.member([.range])
        member.subscribe(to: ["t"], at: Self.at(0))
        var attempts: [UInt64] = []
        for case .join(_, let attempt) in member.takeActions() { attempts.append(attempt) }
        member.close(at: Self.at(10))
        #expect(member.takeActions().isEmpty, "it has no id to leave with")
        member.joinAnswered(
            .failure(.memberIDRequired(memberID: "given")), attempt: try #require(attempts.first),
            at: Self.at(20))
        // Until its session ended, no rebalance would be completed.
        #expect(
            member.takeActions() == [.leave(group: "g", LeavingMember(memberID: "given"))])
    }

    @Test("topics that are dropped while partitions are given up are given up too")
    func subscriptionChanges() throws {
        var member = Self.member([.cooperativeSticky])
        member.subscribe(to: ["t", "u"], at: Self.at(0))
        _ = try Self.round(&member, generation: 1, [0], at: Self.at(10))
        member.subscribe(to: [], at: Self.at(20))
        let (going, revocation) = try #require(Self.revocation(member.takeActions()))
        #expect(going == Self.partitions(0))
        member.revocationDone(attempt: revocation, at: Self.at(30))
        #expect(
            member.takeActions() == [.leave(group: "g", LeavingMember(memberID: "m"))])
        member.subscribe(to: ["u"], at: Self.at(40))
        #expect(Self.joinRequest(member.takeActions()) != nil)
    }

    @Test("errors that trying again does not mend end the member")
    func failures() throws {
        var member = Self.member([.range])
        member.subscribe(to: ["t"], at: Self.at(0))
        guard case .join(_, let attempt)? = member.takeActions().first else { return }
        let error = GroupError.groupMaxSizeReached(limit: 1)
        member.joinAnswered(.failure(error), attempt: attempt, at: Self.at(10))
        #expect(member.takeActions() == [.failed(error)])
        #expect(member.hasEnded && member.nextDeadline == nil)
    }
}
