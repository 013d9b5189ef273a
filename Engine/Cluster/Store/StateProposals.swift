import Logging
import Synchronization
import Tally
import TallyRecords
import TallyReplication

/// Asks the coordination store for what the leaders of this member want: other in-sync sets, and
/// new epochs after a start. One transaction for all that wait, by blocks.
///
/// Thread rule: any thread asks; one task sends.
final class StateProposals: Sendable {
    private let member: ReplicaID
    private let store: any CoordinationStore
    private let news: ClusterNews
    private let logger: Logger
    private let waiting = Mutex(Waiting())
    private let arrival = Arrival()

    private struct Waiting {
        var replicas: [PartitionID: Replica] = [:]
        /// With the epoch that is to be followed by another.
        var renewals: [PartitionID: (replica: Replica, epoch: LeaderEpoch)] = [:]
        var resignations: Set<PartitionID> = []
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
    func addResignation(from partition: PartitionID) {
        waiting.withLock { _ = $0.resignations.insert(partition) }
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

    /// Blocks of a transaction: conditions count by themselves, and there are 128 of each.
    private static let blocksMax = 100

    private struct Change {
        var number: Int32
        var revision: CoordinationRevision
        var block: PartitionBlock
        var states: [(replica: Replica, state: PartitionState)]
        var resignations: [PartitionID] = []
    }

    private func send(_ taken: Waiting) async {
        var rest = changes(for: taken)[...]
        while !rest.isEmpty, !Task.isCancelled {
            let group = rest.prefix(Self.blocksMax)
            rest = rest.dropFirst(group.count)
            do {
                let transaction = try CoordinationTransaction(
                    conditions: group.map {
                        .modified(
                            key: ClusterKeys.partitionBlock($0.number), revision: $0.revision)
                    },
                    operations: group.map {
                        .put(
                            key: ClusterKeys.partitionBlock($0.number), value: $0.block.encoded())
                    })
                guard case .success(let revision) = try await store.commit(transaction) else {
                    await retry(group, afterMilliseconds: 50)
                    continue
                }
                for change in group {
                    for (replica, state) in change.states {
                        // What it says of roles comes with the news as well.
                        if replica.standing.isLeading { _ = try? replica.heed(state) }
                    }
                }
                await news.wait(for: revision)
            } catch {
                logger.warning("In-sync sets could not be stored, and will be again: \(error)")
                await retry(group, afterMilliseconds: 200)
            }
        }
    }

    private func retry(_ changes: ArraySlice<Change>, afterMilliseconds pause: Int64) async {
        await news.waitForChange(milliseconds: pause)
        for change in changes {
            for (replica, state) in change.states {
                if replica.proposal != nil {
                    add(replica)
                } else {
                    addRenewal(of: replica, in: LeaderEpoch(state.leaderEpoch.rawValue - 1))
                }
            }
            for id in change.resignations { addResignation(from: id) }
        }
    }

    private func changes(for waiting: Waiting) -> [Change] {
        let image = news.image
        var changes: [Int32: Change] = [:]
        func put(
            _ id: PartitionID, _ replica: Replica?, _ next: (PartitionState) -> PartitionState?
        ) {
            guard let number = image.block(of: id), let block = image.blocks[number],
                let index = block.value.index(topicID: id.topicID, partition: id.partition),
                let state = next(block.value.partitions[index].state)
            else { return }
            var change =
                changes[number]
                ?? Change(number: number, revision: block.revision, block: block.value, states: [])
            change.block.partitions[index].state = state
            if let replica {
                change.states.append((replica, state))
            } else {
                change.resignations.append(id)
            }
            changes[number] = change
        }
        for id in waiting.resignations {
            put(id, nil) { Election(live: Set(image.members.keys)).leaving(member, $0) }
        }
        for replica in waiting.replicas.values {
            guard let proposal = replica.proposal, !waiting.resignations.contains(replica.id) else {
                continue
            }
            put(replica.id, replica) { current in
                // Older than what is known: the leader hears of that, and proposes anew.
                guard current.leaderEpoch == proposal.leaderEpoch,
                    current.version == proposal.version - 1
                else { return nil }
                return proposal
            }
        }
        for (replica, epoch) in waiting.renewals.values where replica.proposal == nil {
            put(replica.id, replica) { current in
                // Followed by another by now, or led by somebody else.
                guard current.leaderEpoch == epoch, current.leader == replica.member else {
                    return nil
                }
                return Election.renewing(current)
            }
        }
        return changes.values.sorted { $0.number < $1.number }
    }
}
