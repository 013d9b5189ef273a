import Logging
import Synchronization
import Tally
import TallyRecords
import TallyReplication

/// Asks the coordination store for what the leaders of this member want: other in-sync sets, other
/// leaders, and new epochs after a start. One transaction for all that wait, by blocks.
///
/// Thread rule: any thread asks; one task sends.
final class StateProposals: Sendable {
    private let member: ReplicaID
    private let store: any CoordinationStore
    private let news: ClusterNews
    private let logger: Logger
    private let waiting = Mutex(Waiting())
    private let arrival = Arrival()

    /// Why a member leaves an in-sync set.
    enum Reason {
        /// It cannot use the log. Of use only where others are alive, and where the replica, if
        /// there is one, does not lead: one that does hands over by itself. Not asked for again
        /// where the store refuses it: the log may be used again by then.
        case unusable(Replica?)
        /// It may lack what it had. It leaves whoever else is alive.
        case lost

        var isLost: Bool { if case .lost = self { true } else { false } }
    }

    private struct Waiting {
        var replicas: [PartitionID: Replica] = [:]
        /// With the epoch that is to be followed by another.
        var renewals: [PartitionID: (replica: Replica, epoch: LeaderEpoch)] = [:]
        var resignations: [PartitionID: Reason] = [:]
        var isEmpty: Bool { replicas.isEmpty && renewals.isEmpty && resignations.isEmpty }
    }

    init(
        of member: ReplicaID, _ store: any CoordinationStore, news: ClusterNews, logger: Logger
    ) {
        self.member = member
        self.store = store
        self.news = news
        self.logger = logger
    }

    /// A leader has a proposal.
    func add(_ replica: Replica) {
        let isNew = waiting.withLock { $0.replicas.updateValue(replica, forKey: replica.id) == nil }
        if isNew { arrival.signal() }
    }

    /// A member that was started anew leads by an epoch of the process before.
    func addRenewal(of replica: Replica, in epoch: LeaderEpoch) {
        waiting.withLock { $0.renewals[replica.id] = (replica, epoch) }
        arrival.signal()
    }

    /// This member has lost what it had of a partition, or can write to it no more: others shall
    /// not count on it.
    func addResignation(from partition: PartitionID, _ reason: Reason) {
        waiting.withLock { waiting in
            // What is lost is, whatever else is wrong with it.
            if waiting.resignations[partition]?.isLost != true {
                waiting.resignations[partition] = reason
            }
        }
        arrival.signal()
    }

    /// Sends until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let seen = arrival.count
            let taken = waiting.withLock { waiting in
                defer { waiting = Waiting() }
                return waiting
            }
            guard !taken.isEmpty else {
                guard (try? await arrival.wait(after: seen)) != nil else { return }
                continue
            }
            await send(taken)
        }
    }

    private struct Change: StoreChange {
        var number: Int32
        var revision: CoordinationRevision
        var block: PartitionBlock
        var proposals: [(replica: Replica, state: PartitionState)] = []
        var renewals: [(replica: Replica, epoch: LeaderEpoch)] = []
        var resignations: [PartitionID: Reason] = [:]
        /// The registrations of those that are taken in: each must still be there.
        var registrations: [ReplicaID: CoordinationRevision] = [:]

        var operation: CoordinationOperation {
            .put(key: ClusterKeys.partitionBlock(number), value: block.encoded())
        }

        var conditions: [CoordinationCondition] {
            [.modified(key: ClusterKeys.partitionBlock(number), revision: revision)]
                + registrations.map {
                    .modified(key: ClusterKeys.member($0.key), revision: $0.value)
                }
        }
    }

    private func send(_ taken: Waiting) async {
        var rest = changes(for: taken)[...]
        while !rest.isEmpty, !Task.isCancelled {
            let group = rest.fitting()
            rest = rest.dropFirst(group.count)
            var isSent = false
            do {
                let transaction = try group.transaction()
                isSent = true
                guard case .success(let revision) = try await store.commit(transaction) else {
                    await retry(group, mayBeDone: false, afterMilliseconds: 50)
                    continue
                }
                // Until the news say so: sent once more, it would be refused for its own sake.
                for (replica, state) in group.flatMap(\.proposals) { replica.noteUnknown(state) }
                await news.wait(for: revision)
                // What leaders know must not be newer than what the news say of who is registered;
                // and they must not wait until others have done what the news say.
                guard news.look({ $0.revision >= revision }) else { continue }
                for (replica, state) in group.flatMap(\.proposals)
                where replica.standing == (state.leaderEpoch, true) {
                    _ = try? replica.heed(state)
                }
            } catch {
                logger.warning("In-sync sets could not be stored, and will be again: \(error)")
                // A request that was sent may be carried out late, unless the store says otherwise.
                if case CoordinationError.unavailable = error { isSent = false }
                await retry(group, mayBeDone: isSent, afterMilliseconds: 200)
            }
        }
    }

    /// - Parameter mayBeDone: whether the store may have done it, or do it late.
    private func retry(
        _ changes: ArraySlice<Change>, mayBeDone: Bool, afterMilliseconds pause: Int64
    ) async {
        for (replica, state) in changes.flatMap(\.proposals) {
            if mayBeDone { replica.noteUnknown(state) } else { replica.noteRefused(state) }
        }
        await news.waitForChange(milliseconds: pause)
        for change in changes {
            for (replica, _) in change.proposals where replica.proposal != nil { add(replica) }
            for (replica, epoch) in change.renewals { addRenewal(of: replica, in: epoch) }
            // The others are asked for again by whoever finds that they still are to be.
            for (id, reason) in change.resignations where reason.isLost {
                addResignation(from: id, reason)
            }
        }
    }

    private func changes(for waiting: Waiting) -> [Change] {
        let image = news.image
        var changes: [Int32: Change] = [:]
        func put(
            _ id: PartitionID, _ next: (PartitionState) -> PartitionState?,
            note: (inout Change, PartitionState) -> Void
        ) {
            guard let number = image.block(of: id), let block = image.blocks[number],
                let index = block.value.index(topicID: id.topicID, partition: id.partition),
                let state = next(block.value.partitions[index].state)
            else { return }
            var change =
                changes[number]
                ?? Change(number: number, revision: block.revision, block: block.value)
            change.block.partitions[index].state = state
            note(&change, state)
            changes[number] = change
        }
        let election = Election(live: image.live)
        for (id, reason) in waiting.resignations {
            put(id) { current in
                switch reason {
                case .lost: election.losing(member, current)
                case .unusable(let replica):
                    replica?.isIdle(in: current.leaderEpoch) ?? true
                        ? election.leaving(member, current) : nil
                }
            } note: { change, _ in
                change.resignations[id] = reason
            }
        }
        for replica in waiting.replicas.values where waiting.resignations[replica.id] == nil {
            guard let (proposal, joining) = replica.proposalAndJoining else { continue }
            var isOver = false
            put(replica.id) { current in
                // Older than what is known: the leader hears of that, and proposes anew.
                guard current.leader == replica.member, current.version == proposal.version - 1
                else { return nil }
                if let joining {
                    isOver = image.members[joining.id]?.incarnation != joining.incarnation
                }
                return isOver ? nil : proposal
            } note: { change, state in
                change.proposals.append((replica, state))
                guard let joining = joining?.id else { return }
                change.registrations[joining] = image.registrations[joining]
            }
            if isOver { replica.giveUp(proposal) }
        }
        for (replica, epoch) in waiting.renewals.values where replica.proposal == nil {
            put(replica.id) { current in
                // Followed by another by now, or led by somebody else.
                guard current.leaderEpoch == epoch, current.leader == replica.member else {
                    return nil
                }
                return Election.renewing(current)
            } note: { change, _ in
                change.renewals.append((replica, epoch))
            }
        }
        return changes.values.sorted { $0.number < $1.number }
    }
}
