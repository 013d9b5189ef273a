import Logging
import Synchronization
import Tally
import TallyLog
import TallyRecords
import TallyReplication

/// The replicas of this member, and whom they fetch from: does what the news of the cluster say.
///
/// Thread rule: any thread asks; one task brings the news.
final class ReplicaSet: Sendable {
    private let engine: Engine
    private let news: ClusterNews
    private let session: MemberSession
    private let proposals: StateProposals
    private let coordinators: Coordinators
    private let configuration: ClusterConfiguration
    private let throttle: FetchThrottle
    private let state = Mutex(State())

    /// What may have been lost of a partition.
    private struct Lost {
        /// Whether a log is there, of which only the end is in doubt.
        var hasLog: Bool
        /// What was to be done about it last, and was said.
        var step: LostLog?
    }

    private struct State {
        var replicas: [PartitionID: Replica] = [:]
        /// The same, by name.
        var names: [String: [Int32: Replica]] = [:]
        var fetchers: [ReplicaID: (fetcher: ReplicaFetcher, task: Task<Void, Never>)] = [:]
        /// Whom each is fetched from.
        var leaders: [PartitionID: ReplicaID] = [:]
        /// What may have been lost: the member neither leads nor follows there before ``LostLog``
        /// says so.
        var lost: [PartitionID: Lost] = [:]
        /// What this member can neither lead nor follow, whatever the store says: others shall not
        /// wait for it.
        var unusable: Set<PartitionID> = []
        /// Whether it was said that this keeps the member from being registered.
        var isToldOfWaiting = false
        /// Who was registered by the last news.
        var live: Set<ReplicaID> = []
        /// What the store said up to here is done.
        var revision = CoordinationRevision.absent
        /// Not before the first news.
        var permitsRegistration = false
        var isStopped = false
    }

    init(
        engine: Engine, news: ClusterNews, session: MemberSession, proposals: StateProposals,
        _ configuration: ClusterConfiguration
    ) {
        self.engine = engine
        self.news = news
        self.session = session
        self.proposals = proposals
        coordinators = Coordinators(engine: engine, logger: configuration.logger)
        self.configuration = configuration
        throttle = FetchThrottle(bytesPerSecond: configuration.throttledBytesPerSecond)
    }

    /// The replica of a partition; nil where none is here.
    func replica(_ partition: Int32, of topic: String) -> Replica? {
        state.withLock { $0.names[topic]?[partition] }
    }

    var all: [Replica] { state.withLock { Array($0.replicas.values) } }

    // MARK: News

    /// Does what has changed; nil for everything.
    func heed(_ image: ClusterImage, _ changed: ClusterImage.News?) async {
        var partitions = changed?.partitions ?? Set(image.partitions.map(\.id))
        // What was lost was lost before the process began.
        if state.withLock({ $0.revision == .absent }) { noteLost(image) }
        partitions.formUnion(settleLost(image))
        for (name, id) in changed?.deletedTopics ?? [:] { await delete(name, id) }
        let concerned = changed?.topics ?? Set(image.topics.keys)
        let touched = concerned.union(partitions.compactMap { image.names[$0.topicID] })
        for name in touched.sorted() {
            guard let topic = image.topics[name] else { continue }
            await keep(name, topic.record, image)
            if concerned.contains(name) {
                // Its settings may be others, and replicas may be new.
                for index in 0..<topic.record.partitionCount {
                    partitions.insert(
                        PartitionID(topicID: topic.record.id, partition: index))
                }
            }
        }
        if changed == nil { tellStrays(image) }
        await heed(partitions, image)
        let live = image.live
        let isNew = state.withLock { state in
            defer { state.live = live }
            return state.live != live
        }
        if isNew { for replica in all { replica.noteLive(live) } }
        state.withLock { $0.revision = image.revision }
    }

    /// Waits until what the store said at a revision is done here, for two seconds at most.
    func settle(_ revision: CoordinationRevision) async {
        let deadline = ContinuousClock.now + .seconds(2)
        while state.withLock({ $0.revision < revision }), ContinuousClock.now < deadline {
            guard (try? await Task.sleep(for: .milliseconds(2))) != nil else { return }
        }
    }

    /// Notes what may be gone with the directory, or with the power: see ``LostLog``.
    private func noteLost(_ image: ClusterImage) {
        let known = Dictionary(
            engine.keptTopics().map { ($0.id.number, $0.kept) }, uniquingKeysWith: { $1 })
        for record in image.partitions where LostLog.isPossible(configuration.id, record.state) {
            let isKept = known[record.topicID]?.contains(record.partition) == true
            guard !isKept || hasLostItsEnd(record, image) else { continue }
            state.withLock { $0.lost[record.id] = Lost(hasLog: isKept) }
        }
    }

    /// Says what it means that something may be lost, when another step is taken.
    private func tell(of id: PartitionID, _ lost: Lost, _ step: LostLog, _ image: ClusterImage) {
        guard step != lost.step else { return }
        state.withLock { $0.lost[id]?.step = step }
        let name = "\(image.names[id.topicID] ?? "?")-\(id.partition)"
        switch step {
        case .leaves where lost.hasLog:
            configuration.logger.warning(
                """
                This member was not stopped in order, and \(name) is not synced: its end may be \
                gone. What is missing is fetched from those in sync.
                """)
        case .leaves:
            configuration.logger.warning(
                "\(name) is not in this directory any more; it is fetched anew.")
        case .stays:
            configuration.logger.error(
                """
                \(name) is not in this directory any more, and no other member is known to \
                have all of it. Start this member with the directory it had, or let another \
                replica lead, at the price of what that does not have: tally cluster elect \
                --unclean --without \(configuration.nodeID).
                """)
        case .waits, .registers, .begins: break
        }
    }

    /// Does what is to be done about what may be lost. Returns what is kept from now on.
    private func settleLost(_ image: ClusterImage) -> Set<PartitionID> {
        let process = session.process(of: configuration.id)
        let registered = image.members[process.id]?.incarnation
        var found: Set<PartitionID> = []
        var permits = true
        for (id, lost) in state.withLock({ $0.lost }) {
            let step = image.state(of: id).map {
                LostLog(of: process, in: $0, registered: registered, hasLog: lost.hasLog)
            }
            permits = permits && step?.permitsRegistration ?? true
            if let step { tell(of: id, lost, step, image) }
            switch step {
            case .waits, .registers, .stays: break
            case .leaves: proposals.addResignation(from: id, .lost)
            case .begins, nil:
                state.withLock { $0.lost[id] = nil }
                found.insert(id)
            }
        }
        let (isInDoubt, isNew) = state.withLock { state in
            defer { state.isToldOfWaiting = state.isToldOfWaiting || !permits }
            state.permitsRegistration = permits
            return (state.lost.values.contains(where: \.hasLog), !state.isToldOfWaiting)
        }
        if !permits, isNew {
            configuration.logger.info(
                """
                Member \(configuration.nodeID) is registered when the store counts no more on what \
                it may have lost: when the lease of its process before has ended. If that does not \
                come, another process has the same node.id.
                """)
        }
        // Closed in order before that, the next process would not know.
        if !isInDoubt { engine.mayCloseCleanly() }
        return found
    }

    /// Whether nobody counts on what this member may have lost, by the news that it has heeded.
    var permitsRegistration: Bool { state.withLock { $0.permitsRegistration } }

    /// Whether the end of a log may be gone with the power: after an unclean stop, where the topic
    /// promises nothing else.
    private func hasLostItsEnd(_ record: PartitionRecord, _ image: ClusterImage) -> Bool {
        guard let topic = image.names[record.topicID],
            let log = try? engine.partition(record.partition, of: topic).onlineLog
        else { return false }
        return !log.recovery.wasClean && log.durability != .synced
    }

    private func tellStrays(_ image: ClusterImage) {
        for topic in engine.keptTopics()
        where image.topics[topic.name]?.record.id != topic.id.number {
            configuration.logger.warning(
                """
                The cluster has no topic \(topic.name) with id \(topic.id). What lies here of it \
                is left alone; a new topic of the name takes its place.
                """)
        }
    }

    private func keep(_ name: String, _ record: TopicRecord, _ image: ClusterImage) async {
        do {
            let settings = try TopicConfiguration(stored: record.configuration)
            let kept = (0..<record.partitionCount).filter { index in
                let id = PartitionID(topicID: record.id, partition: index)
                // A log that was lost is made anew when the store counts on it no more: another
                // process would take an empty one for what it had.
                guard state.withLock({ $0.lost[id]?.hasLog ?? true }) else { return false }
                return image.state(of: id)?.replicas.contains(configuration.id) ?? false
            }
            let gone = state.withLock { state in
                (state.names[name] ?? [:]).values.filter {
                    $0.id.topicID != record.id || !kept.contains($0.id.partition)
                }
            }
            for replica in gone { forget(replica) }
            try await engine.keep(
                ReplicatedTopic(
                    name: name, id: TopicID(record.id), partitionCount: Int(record.partitionCount),
                    configuration: settings, kept: Set(kept)))
            let replication = replicationConfiguration(settings)
            for index in kept { try add(name, record.id, index, replication) }
        } catch {
            configuration.logger.error("Topic \(name) cannot be kept here: \(error)")
            // Others must not wait for what does not come.
            for index in 0..<record.partitionCount {
                let id = PartitionID(topicID: record.id, partition: index)
                if state.withLock({ $0.replicas[id] == nil }) { noteUnusable(id) }
            }
        }
    }

    private func replicationConfiguration(
        _ topic: TopicConfiguration
    ) -> ReplicationConfiguration {
        ReplicationConfiguration(
            inSyncReplicasMin: topic.inSyncReplicasMin,
            lagMillisecondsMax: configuration.lagMillisecondsMax)
    }

    private func add(
        _ topic: String, _ topicID: UInt128, _ index: Int32,
        _ replication: ReplicationConfiguration
    ) throws {
        let id = PartitionID(topicID: topicID, partition: index)
        let partition = try engine.partition(index, of: topic)
        if let known = state.withLock({ $0.replicas[id] }), known.partition === partition {
            return known.adopt(replication)
        }
        // One that is offline neither leads nor follows; the others do.
        guard let log = partition.onlineLog else { return noteUnusable(id) }
        let proposals = proposals
        let replica = Replica(
            id, topic: topic, member: configuration.id, partition: partition, log: log,
            session: session, news: news, settings: replication,
            proposes: { proposals.add($0) })
        state.withLock { state in
            state.replicas[id] = replica
            state.names[topic, default: [:]][index] = replica
        }
    }

    private func noteUnusable(_ id: PartitionID) {
        state.withLock { _ = $0.unusable.insert(id) }
        resign(from: id)
    }

    private func resign(from id: PartitionID) {
        proposals.addResignation(from: id, .unusable(state.withLock { $0.replicas[id] }))
    }

    private func forget(_ replica: Replica) {
        follow(nil, replica)
        replica.stop()
        coordinators.resign(replica.place, epoch: nil)
        state.withLock { state in
            state.replicas[replica.id] = nil
            if state.names[replica.topic]?[replica.id.partition] === replica {
                state.names[replica.topic]?[replica.id.partition] = nil
            }
        }
    }

    private func delete(_ name: String, _ id: UInt128) async {
        let gone = state.withLock { $0.replicas.values.filter { $0.id.topicID == id } }
        for replica in gone { forget(replica) }
        guard engine.keptTopics().contains(where: { $0.name == name && $0.id.number == id }) else {
            return
        }
        do {
            try await engine.deleteTopic(name)
        } catch {
            configuration.logger.error("Topic \(name) could not be deleted here: \(error)")
        }
    }

    // MARK: Roles

    private func heed(_ partitions: Set<PartitionID>, _ image: ClusterImage) async {
        let work = partitions.compactMap { id -> (Replica, PartitionState)? in
            guard let replica = state.withLock({ $0.replicas[id] }),
                let state = image.state(of: id)
            else { return nil }
            return (replica, state)
        }
        guard !work.isEmpty else { return }
        let election = Election(live: image.live)
        // Taking a role waits for an append that is under way.
        _ = try? await engine.onWorkers { [self] in
            engine.share(work.count) { [self] index in
                let (replica, next) = work[index]
                heed(next, replica)
                settleWishes(for: replica, election)
            }
        }
    }

    private func heed(_ next: PartitionState, _ replica: Replica) {
        guard state.withLock({ $0.lost[replica.id] == nil }) else { return }
        do {
            let consequence = try replica.heed(next)
            switch consequence {
            case .none: break
            case .renew: proposals.addRenewal(of: replica, in: next.leaderEpoch)
            case .follow(let leader):
                follow(leader, replica)
                coordinators.resign(replica.place, epoch: next.leaderEpoch)
            case .rest:
                follow(nil, replica)
                coordinators.resign(replica.place, epoch: next.leaderEpoch)
            case .lead:
                follow(nil, replica)
                coordinators.lead(replica.place, in: next.leaderEpoch)
            }
            if consequence != .none {
                state.withLock { _ = $0.unusable.remove(replica.id) }
            }
        } catch {
            follow(nil, replica)
            configuration.logger.error("\(replica.partition.name) cannot lead: \(error)")
            noteUnusable(replica.id)
        }
    }

    /// Fetches a partition from somebody else from now on, or from nobody.
    private func follow(_ leader: ReplicaID?, _ replica: Replica) {
        let (old, new) = state.withLock { state -> (ReplicaFetcher?, ReplicaFetcher?) in
            let before = state.leaders[replica.id]
            state.leaders[replica.id] = leader
            let old = before == leader ? nil : before.flatMap { state.fetchers[$0]?.fetcher }
            guard let leader, !state.isStopped else { return (old, nil) }
            if let known = state.fetchers[leader] { return (old, known.fetcher) }
            let fetcher = ReplicaFetcher(
                from: leader, as: session.process(of: configuration.id), engine: engine,
                news: news, throttle: throttle, configuration)
            state.fetchers[leader] = (fetcher, Task { await fetcher.run() })
            return (old, fetcher)
        }
        old?.remove(replica.id)
        new?.add(replica)
    }

    /// Looks after time limits until the task is cancelled.
    func run() async {
        let interval = min(max(configuration.lagMillisecondsMax / 4, 50), 1000)
        var lastBalance = ContinuousClock.now
        while (try? await Task.sleep(for: .milliseconds(interval))) != nil {
            let election = Election(live: news.look(\.live))
            let isBalancing = isTimeToBalance(since: lastBalance)
            var isBalanced = isBalancing
            for replica in all {
                replica.tick()
                settleWishes(for: replica, election)
                if isBalancing {
                    replica.change { state in
                        let next = election.preferring(state)
                        if next != nil { isBalanced = false }
                        return next
                    }
                }
                // A log that takes no appends is of no use to anybody: others may have room.
                if replica.log.refusesAppends {
                    replica.change { election.leaving(configuration.id, $0) }
                }
            }
            // What was refused is asked for again.
            if isBalanced { lastBalance = .now }
            resignFromUnusable()
        }
    }

    /// Asks again for what was refused, as long as the cluster has the partition.
    private func resignFromUnusable() {
        let unusable = state.withLock { $0.unusable }
        guard !unusable.isEmpty else { return }
        let image = news.image
        for id in unusable {
            if image.state(of: id) == nil {
                state.withLock { _ = $0.unusable.remove(id) }
            } else {
                resign(from: id)
            }
        }
    }

    /// Ends a move of what this member leads, where it is time, and lets the preferred one lead
    /// where somebody asks for it.
    private func settleWishes(for replica: Replica, _ election: Election) {
        replica.change { Reassignment.finish($0, live: election.live) ?? election.answering($0) }
    }

    /// Has others lead what this member leads, where others are in sync. Returns when they do, or
    /// at the deadline.
    func handOver(until deadline: ContinuousClock.Instant) async {
        while ContinuousClock.now < deadline {
            let image = news.image
            let election = Election(live: image.live)
            let left = all.filter { replica in
                let next = image.state(of: replica.id).flatMap {
                    election.leaving(configuration.id, $0)
                }
                return next != nil && replica.standing.isLeading
            }
            if left.isEmpty { return }
            for replica in left {
                replica.change { election.leaving(configuration.id, $0) }
            }
            await news.waitForChange(milliseconds: 20)
        }
    }

    private func isTimeToBalance(since last: ContinuousClock.Instant) -> Bool {
        guard let seconds = configuration.leaderImbalanceCheckSeconds else { return false }
        return ContinuousClock.now - last > .seconds(seconds)
    }

    /// Fetches and leads no more.
    func stop() async {
        let (replicas, tasks) = state.withLock { state in
            state.isStopped = true
            defer { state.fetchers = [:] }
            return (Array(state.replicas.values), state.fetchers.values.map(\.task))
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        _ = try? await engine.onWorkers { for replica in replicas { replica.stop() } }
    }
}
