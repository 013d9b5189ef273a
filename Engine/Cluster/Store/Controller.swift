import Logging
import Synchronization
import Tally
import TallyFiles
import TallyReplication

/// Decides for the whole cluster, while this member is its controller: who leads what when members
/// come and go. Otherwise it stands for the office where nobody has it.
///
/// Each transaction demands that the member still is the controller: one that was paused, or cut
/// off, for longer than its lease changes nothing. One task.
final class Controller: Sendable {
    private let store: any CoordinationStore
    private let news: ClusterNews
    private let session: MemberSession
    private let configuration: ClusterConfiguration

    init(
        _ store: any CoordinationStore, news: ClusterNews, session: MemberSession,
        _ configuration: ClusterConfiguration
    ) {
        self.store = store
        self.news = news
        self.session = session
        self.configuration = configuration
    }

    /// Controls until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let seen = news.arrival.count
            do {
                if try await control() { continue }
            } catch {
                configuration.logger.warning("The controller could not decide: \(error)")
                guard (try? await Task.sleep(for: .milliseconds(200))) != nil else { return }
            }
            // Looked at before: what came meanwhile has counted.
            if news.arrival.count == seen { await news.waitForChange(milliseconds: 500) }
        }
    }

    /// Does what is due; true where that has changed something.
    private func control() async throws -> Bool {
        guard let lease = session.lease else { return false }
        let image = news.image
        guard image.members[configuration.id]?.incarnation == session.incarnation else {
            return false
        }
        guard let controller = image.controller else {
            return try await stand(lease, image)
        }
        guard controller.record.member == configuration.id,
            controller.record.incarnation == session.incarnation
        else { return false }
        let changes = changes(in: image)
        guard !changes.isEmpty else { return false }
        var rest = changes[...]
        while !rest.isEmpty {
            let fence = [ControllerRecord.fence(controller.revision)]
            let group = rest.fitting(beside: fence)
            rest = rest.dropFirst(group.count)
            switch try await store.commit(try group.transaction(beside: fence)) {
            case .success(let revision): await news.wait(for: revision)
            case .conflict: await news.waitForChange(milliseconds: 50)
            }
        }
        return true
    }

    private func stand(_ lease: LeaseID, _ image: ClusterImage) async throws -> Bool {
        let election = try ControllerRecord.election(
            of: configuration.id, incarnation: session.incarnation, lease: lease,
            epoch: image.controllerEpoch)
        guard let election else { return false }
        guard case .success(let revision) = try await store.commit(election.transaction) else {
            return false
        }
        configuration.logger.info("Controls the cluster, term \(election.record.epoch).")
        await news.wait(for: revision)
        return true
    }

    private struct Change: StoreChange {
        var key: String
        var revision: CoordinationRevision
        /// Who lead no more. One that is registered again when the store comes to it leads on: it
        /// may be cut off, and would not hear of another.
        var deposed: Set<ReplicaID>
        var operation: CoordinationOperation

        var conditions: [CoordinationCondition] {
            [.modified(key: key, revision: revision)]
                + deposed.map { .absent(key: ClusterKeys.member($0)) }
        }
    }

    /// What should be otherwise, block by block.
    private func changes(in image: ClusterImage) -> [Change] {
        let live = image.live
        return image.blocks.sorted { $0.key < $1.key }.compactMap { number, block in
            var next = block.value
            var deposed: Set<ReplicaID> = []
            // Topics that are gone.
            next.partitions.removeAll { image.names[$0.topicID] == nil }
            for index in next.partitions.indices {
                let record = next.partitions[index]
                let topic = image.names[record.topicID].flatMap { image.topics[$0]?.record }
                let election = Election(
                    live: live,
                    isUncleanAllowed: topic?.configuration[unclean] == "true")
                // No more than that: from a leader that is alive nobody takes the lead but itself.
                guard let state = election.next(after: record.state) else { continue }
                next.partitions[index].state = state
                if let leader = record.state.leader, leader != state.leader {
                    deposed.insert(leader)
                }
            }
            guard next != block.value else { return nil }
            let key = ClusterKeys.partitionBlock(number)
            return Change(
                key: key, revision: block.revision, deposed: deposed,
                operation: next.partitions.isEmpty
                    ? .delete(key: key) : .put(key: key, value: next.encoded()))
        }
    }
}

private let unclean = TopicSetting.isUncleanElectionAllowed.rawValue
