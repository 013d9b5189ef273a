import TallyGroups
import TallyLog
import TallyRecords
import TallyReplication
import TallyTransactions

/// The group coordinator of a member: the engine's state machine, in a shell as thin as the
/// engine's (`GroupService`), which cannot be used itself because of its threads.
final class SimulatedGroups {
    typealias Answer<Success> = (Result<Success, GroupError>) -> Void

    private unowned let member: SimulatedMember
    private unowned let replica: SimulatedReplica
    private let journal: CoordinatorJournal
    private let store: OffsetsTopicStore
    private var coordinator: GroupCoordinator
    private var joins: [GroupToken: Answer<JoinAnswer>] = [:]
    private var syncs: [GroupToken: Answer<SyncAnswer>] = [:]
    private var tokenCount: UInt64 = 0
    /// Whether it has led since its process was started.
    private var hasLed = false

    init(_ replica: SimulatedReplica) {
        self.replica = replica
        member = replica.member
        journal = CoordinatorJournal(replica)
        store = OffsetsTopicStore(journal)
        let ids = MemberIDs(member)
        do {
            coordinator = try GroupCoordinator(
                configuration: Self.configuration, store: store, at: member.groupTime
            ) { ids.next($0) }
        } catch {
            fatalError("an empty store cannot be read: \(error)")
        }
        coordinator.partitions = CoordinatorPartitions(topic: .consumerOffsets, count: 1)
    }

    private static var configuration: GroupConfiguration {
        var configuration = GroupConfiguration()
        configuration.sessionTimeoutMillisecondsMin = 100
        configuration.newMemberTimeoutMilliseconds = 2000
        return configuration
    }

    // MARK: Leading

    /// Reads the partition, and serves its groups when what was read is committed.
    func lead(in epoch: LeaderEpoch) {
        guard coordinator.partitions?.lead(0, epoch: epoch) ?? false else { return }
        journal.lead(in: epoch)
        if member.world.has(.keepsOldState), hasLed {
            coordinator.partitions?.note(.active, of: 0, epoch: epoch)
            return
        }
        hasLed = true
        let end = journal.log.logEnd
        let groups = Self.groups(of: journal.log)
        replica.whenCommitted(before: end, in: epoch) { [self] commitment in
            switch commitment {
            case .committed, .notNow: serve(groups, in: epoch)
            // Perhaps its lease has ended, and it goes on to lead when it has another.
            case .notLeader: member.after(100) { [self] in readAgain(in: epoch) }
            }
        }
    }

    private func readAgain(in epoch: LeaderEpoch) {
        guard coordinator.partitions?.led[0]?.epoch == epoch else { return }
        coordinator.partitions?.note(.failed("not read"), of: 0, epoch: epoch)
        lead(in: epoch)
    }

    private func serve(_ groups: [StoredGroup], in epoch: LeaderEpoch) {
        guard coordinator.partitions?.note(.active, of: 0, epoch: epoch) ?? false else { return }
        coordinator.load(groups, ofPartition: 0, at: member.groupTime)
        member.world.trace("\(member.id) coordinates groups in \(epoch)")
        deliver()
    }

    /// What a log of `__consumer_offsets` says.
    static func groups(of log: any ReplicaLog) -> [StoredGroup] {
        var replay = OffsetsTopicReplay()
        for (index, record) in log.all.enumerated() {
            switch record.content {
            case .data: continue
            case .marker(let didCommit, _):
                replay.endTransaction(ofProducer: record.producer.id, isCommitted: didCommit)
            case .state(let records):
                for state in records {
                    do {
                        try replay.read(
                            state, at: Offset(Int64(index)),
                            in: record.isTransactional ? record.producer : nil)
                    } catch {
                        fatalError("\(error)")
                    }
                }
            }
        }
        return replay.groups
    }

    func resign(next epoch: LeaderEpoch) {
        guard coordinator.partitions?.resign(0, epoch: epoch) ?? false else { return }
        if !member.world.has(.keepsOldState) { coordinator.unload(0) }
        journal.forget()
        deliver()
    }

    func tick() {
        guard let due = coordinator.nextDeadline, due <= member.groupTime.instant else { return }
        coordinator.advance(to: member.groupTime)
        deliver()
    }

    // MARK: Requests

    private func takeToken() -> GroupToken {
        tokenCount += 1
        return GroupToken(tokenCount)
    }

    func join(_ request: JoinRequest, answer: @escaping Answer<JoinAnswer>) {
        let token = takeToken()
        joins[token] = { [self] result in
            if case .success(let joined) = result {
                member.world.history.groups.noteGeneration(
                    joined.generation, of: request.group)
            }
            answer(result)
        }
        coordinator.join(request, token: token, at: member.groupTime)
        deliver()
    }

    func sync(_ request: SyncRequest, answer: @escaping Answer<SyncAnswer>) {
        let token = takeToken()
        syncs[token] = answer
        coordinator.sync(request, token: token, at: member.groupTime)
        deliver()
    }

    /// Any request that is answered at once, when all that it may rest on is committed.
    private func ask<Success>(
        about group: String,
        _ request: (inout GroupCoordinator, GroupTime) throws(GroupError) -> Success,
        answer: @escaping Answer<Success>
    ) {
        var result: Result<Success, GroupError>
        do throws(GroupError) {
            try coordinator.requireServed(group)
            result = .success(try request(&coordinator, member.groupTime))
        } catch {
            result = .failure(error)
        }
        journal.whenCommitted { answer($0 ? result : .failure(.notCoordinator(group))) }
        deliver()
    }

    func heartbeat(_ group: String, _ caller: GroupCaller, answer: @escaping Answer<Void>) {
        ask(about: group) { (coordinator, now) throws(GroupError) in
            try coordinator.heartbeat(group: group, caller: caller, at: now)
        } answer: {
            answer($0)
        }
    }

    func leave(_ group: String, _ leaving: LeavingMember) {
        _ = coordinator.leave(group: group, members: [leaving], at: member.groupTime)
        deliver()
    }

    /// Commits offsets, and sees that the promises hold at the moment of the answer.
    func commit(_ request: OffsetCommitRequest, answer: @escaping Answer<Void>) {
        let history = member.world.history
        let newest = history.groups.newestGeneration(of: request.group)
        var asked = request
        if member.world.has(.commitsForAnybody),
            let known = try? coordinator.describe(request.group), let leader = known.leaderID
        {
            asked.caller = GroupCaller(memberID: leader, generation: known.generation)
        }
        ask(about: request.group) { (coordinator, now) throws(GroupError) in
            let refused = try coordinator.commit(asked, at: now)
            if let error = refused.values.first { throw error }
        } answer: { result in
            if case .success = result {
                history.noteCommit(request, whileNewest: newest)
            }
            answer(result)
        }
    }

    /// Commits offsets as a part of a producer's transaction.
    func commit(
        _ request: OffsetCommitRequest, in transactionalID: String, _ producer: ProducerIdentity,
        answer: @escaping Answer<Void>
    ) {
        let batchProducer = BatchProducer(
            id: producer.id, epoch: producer.epoch, baseSequence: -1)
        let standing = journal.log.standing(of: batchProducer)
        if standing.isOpen {
            return commit(request, producer, standing, answer: answer)
        }
        let place = member.world.place(of: replica.partition)
        member.verify(place, in: transactionalID, producer) { [self] isPart in
            guard isPart else { return answer(.failure(.concurrentTransactions)) }
            commit(request, producer, standing, answer: answer)
        }
    }

    private func commit(
        _ request: OffsetCommitRequest, _ producer: ProducerIdentity,
        _ standing: TransactionStanding, answer: @escaping Answer<Void>
    ) {
        store.verification = standing
        defer { store.verification = nil }
        ask(about: request.group) { (coordinator, now) throws(GroupError) in
            let refused = try coordinator.commitInTransaction(
                request, producerID: producer.id, producerEpoch: producer.epoch, at: now)
            if let error = refused.values.first { throw error }
        } answer: {
            answer($0)
        }
    }

    func fetchOffsets(
        _ group: String, answer: @escaping Answer<[TopicPartition: Offset]>
    ) {
        let history = member.world.history
        let acknowledged = history.groups.committed(of: group)
        ask(about: group) { (coordinator, _) throws(GroupError) in
            var offsets: [TopicPartition: Offset] = [:]
            for (place, found) in coordinator.fetchOffsets(group: group, requiresStable: true) {
                offsets[place] = try found.get().offset
            }
            return offsets
        } answer: { result in
            if case .success(let offsets) = result {
                history.checkOffsets(offsets, of: group, notBelow: acknowledged)
            }
            answer(result)
        }
    }

    // MARK: Transactions

    /// Ends what a transaction has pending in the groups.
    func write(
        _ marker: TransactionMarker, answer: @escaping (TransactionWorkOutcome) -> Void
    ) {
        guard coordinator.partitions?.led[0]?.standing == .active else { return answer(.failed) }
        do throws(AppendRefusal) {
            try journal.append(marker)
        } catch {
            return answer(TransactionWorkOutcome(error))
        }
        _ = coordinator.transactionEnded(
            inPartition: 0, producerID: marker.producerID, isCommitted: marker.didCommit)
        journal.whenCommitted { answer($0 ? .done : .failed) }
    }

    // MARK: Effects

    private func deliver() {
        for effect in coordinator.takeEffects() {
            switch effect {
            case .joinAnswered(let token, let result):
                guard let answer = joins.removeValue(forKey: token) else { continue }
                journal.whenCommitted {
                    answer($0 ? result : .failure(.coordinatorNotAvailable(reason: "gone")))
                }
            case .syncAnswered(let token, let result):
                guard let answer = syncs.removeValue(forKey: token) else { continue }
                journal.whenCommitted {
                    answer($0 ? result : .failure(.coordinatorNotAvailable(reason: "gone")))
                }
            }
        }
        if let problem = coordinator.verify() {
            member.world.history.violate(.recovers, "a group contradicts itself: \(problem)")
        }
    }
}

/// Gives out member ids that nobody ever had.
private final class MemberIDs: @unchecked Sendable {
    private unowned let member: SimulatedMember
    private var count = 0

    init(_ member: SimulatedMember) { self.member = member }

    func next(_ client: String) -> String {
        count += 1
        return "\(client)-\(member.id)-\(member.incarnation)-\(count)"
    }
}
