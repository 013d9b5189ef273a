import Logging
import Synchronization
import Tally
import TallyClient
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire

/// Fetches from one leader what this member follows there: all of its partitions in one request,
/// one request at a time on one connection.
///
/// Before anything else a log is made to agree with the leader's, by leader epochs. What comes is
/// appended byte for byte, and on stable storage before the next request says so where the topic
/// promises that. Thread rule: any thread changes what is fetched; one task fetches.
final class ReplicaFetcher: Sendable {
    private let leader: ReplicaID
    private let engine: Engine
    private let news: ClusterNews
    private let configuration: ClusterConfiguration
    private let state: Mutex<State>
    private let arrival = Arrival()

    private struct State {
        /// What had something goes to the end, so that every partition has its turn.
        var replicas: [Replica] = []
        /// Whose answer was an error: not asked before the time.
        var rests: [PartitionID: ContinuousClock.Instant] = [:]
        var throttle: FetchThrottle
        var connection: BrokerConnection?
    }

    init(
        from leader: ReplicaID, engine: Engine, news: ClusterNews,
        _ configuration: ClusterConfiguration
    ) {
        self.leader = leader
        self.engine = engine
        self.news = news
        self.configuration = configuration
        state = Mutex(
            State(throttle: FetchThrottle(bytesPerSecond: configuration.throttledBytesPerSecond)))
    }

    /// Fetches a partition from now on.
    func add(_ replica: Replica) {
        state.withLock { state in
            state.replicas.removeAll { $0.id == replica.id }
            state.replicas.append(replica)
            state.rests[replica.id] = nil
        }
        // A request that waits for others must not keep this one waiting.
        arrival.signal()
    }

    /// Fetches a partition no more.
    func remove(_ id: PartitionID) {
        state.withLock { state in
            state.replicas.removeAll { $0.id == id }
            state.rests[id] = nil
        }
    }

    // MARK: The loop

    /// Fetches until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            let seen = arrival.count
            await storeWhatIsHere()
            let plan = plan()
            do {
                if !plan.epochEnds.isEmpty {
                    try await compareEpochs(plan)
                } else if !plan.fetches.isEmpty {
                    try await fetch(plan, after: seen)
                } else {
                    await arrival.wait(after: seen, milliseconds: hasReplicas ? 50 : 60_000)
                }
            } catch {
                if Task.isCancelled { break }
                configuration.logger.debug("Nothing came from member \(leader): \(error)")
                await disconnect()
                await arrival.wait(after: seen, milliseconds: 100)
            }
        }
        await disconnect()
    }

    private var hasReplicas: Bool { state.withLock { !$0.replicas.isEmpty } }

    private func plan() -> FollowerPlan {
        let now = ContinuousClock.now
        let (replicas, isOpen) = state.withLock { state in
            let ready = state.replicas.filter { state.rests[$0.id] ?? now <= now }
            return (ready, state.throttle.isOpen(at: now))
        }
        let chosen = isOpen ? replicas : replicas.filter(isInSync)
        return FollowerPlan(chosen, of: leader)
    }

    /// Tries again what could not be synced when it came: nothing of such a log is asked for.
    private func storeWhatIsHere() async {
        let unsynced = state.withLock { $0.replicas.filter { $0.log.keptEnd < $0.log.logEnd } }
        guard !unsynced.isEmpty else { return }
        _ = try? await engine.onWorkers { [self] in
            for replica in unsynced {
                do { try replica.storeWhatIsHere() } catch { note(error, of: replica) }
            }
        }
    }

    /// Whether the store says that this member has all of a partition: then it is never slowed
    /// down, or acknowledgements would be.
    private func isInSync(_ replica: Replica) -> Bool {
        news.look { $0.state(of: replica.id)?.inSyncReplicas.contains(configuration.id) ?? false }
    }

    // MARK: The connection

    private func connection() async throws -> BrokerConnection {
        if let open = state.withLock({ $0.connection }), open.isOpen { return open }
        let connection = try await news.connect(
            to: leader, as: "replica-\(configuration.nodeID)")
        state.withLock { $0.connection = connection }
        return connection
    }

    private func disconnect() async {
        await state.withLock { $0.connection.take() }?.close()
    }

    // MARK: Agreeing

    private func compareEpochs(_ plan: FollowerPlan) async throws {
        let answer = try await connection().send(plan.epochRequest(from: configuration.id))
        var ends: [TopicPartition: OffsetForLeaderEpochResponse.EpochEnd] = [:]
        for topic in answer.topics {
            for end in topic.partitions {
                ends[TopicPartition(topic: topic.name, partition: end.partition)] = end
            }
        }
        let items = plan.epochEnds
        try await engine.onWorkers { [self, ends] in
            engine.share(items.count) { [self] index in
                let replica = items[index].replica
                let id = TopicPartition(topic: replica.topic, partition: replica.id.partition)
                guard let end = ends[id], end.errorCode == .none else {
                    return rest(replica, milliseconds: 50)
                }
                do { try take(end, of: items[index]) } catch { note(error, of: replica) }
            }
        }
    }

    private func take(
        _ end: OffsetForLeaderEpochResponse.EpochEnd, of item: FollowerPlan.Item
    ) throws {
        guard case .epochEnd(let asked) = item.request else { return }
        let known =
            end.leaderEpoch >= 0
            ? EpochEnd(
                epoch: LeaderEpoch(end.leaderEpoch), endOffset: Offset(end.endOffset)) : nil
        _ = try item.replica.whileFollowing(in: item.epoch) { follower, history in
            if let cut = follower.answered(epochEnd: known, to: asked, history) {
                try truncate(item.replica, to: cut)
            }
        }
    }

    private func truncate(_ replica: Replica, to offset: Offset) throws {
        configuration.logger.info(
            """
            \(replica.partition.name) is cut from \(replica.log.logEnd) to \(offset), where it \
            parts from that of member \(leader).
            """)
        try engine.truncateReplica(replica.log, to: offset)
    }

    // MARK: Fetching

    private func fetch(_ plan: FollowerPlan, after seen: Int) async throws {
        let connection = try await connection()
        let request = plan.fetchRequest(from: configuration.id, configuration)
        let wait = Int64(configuration.fetchWaitMillisecondsMax)
        let answer = try await withThrowingTaskGroup(of: FetchResponse?.self) { group in
            group.addTask {
                try await connection.send(
                    request, atMost: FollowerPlan.fetchVersion, waitMilliseconds: wait)
            }
            group.addTask { [arrival] in
                try await arrival.wait(after: seen)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let answer else {
            // Another partition is to be fetched at once; requests of a connection are answered
            // one after the other.
            return await disconnect()
        }
        guard answer.errorCode == .none else {
            throw ClientError.refused(
                request: "Fetch", subject: "\(plan.fetches.count) partitions",
                code: answer.errorCode, message: nil)
        }
        try await take(answer, plan)
    }

    private func take(_ answer: FetchResponse, _ plan: FollowerPlan) async throws {
        var found: [PartitionID: FetchResponse.Partition] = [:]
        for topic in answer.responses {
            let id = UInt128(topic.topicID.high) << 64 | UInt128(topic.topicID.low)
            for partition in topic.partitions {
                found[PartitionID(topicID: id, partition: partition.partitionIndex)] = partition
            }
        }
        let work = plan.fetches.compactMap { item in
            found[item.replica.id].map { (item, $0) }
        }
        if configuration.throttledBytesPerSecond != nil {
            let byteCount = work.filter { !isInSync($0.0.replica) }
                .reduce(0) { $0 + ($1.1.records?.count ?? 0) }
            state.withLock { $0.throttle.take(byteCount) }
        }
        try await engine.onWorkers { [self] in
            engine.share(work.count) { [self] index in
                let (item, partition) = work[index]
                do { try take(partition, of: item) } catch { note(error, of: item.replica) }
            }
        }
        let served = Set(work.filter { !($0.1.records ?? []).isEmpty }.map(\.0.replica.id))
        guard !served.isEmpty else { return }
        state.withLock { state in
            state.replicas =
                state.replicas.filter { !served.contains($0.id) }
                + state.replicas.filter { served.contains($0.id) }
        }
    }

    private func take(_ answer: FetchResponse.Partition, of item: FollowerPlan.Item) throws {
        let replica = item.replica
        guard case .fetch(let offset, _) = item.request else { return }
        if answer.errorCode == .offsetOutOfRange {
            return try restart(replica, item.epoch, at: Offset(answer.logStartOffset))
        }
        guard answer.errorCode == .none else { return rest(replica, milliseconds: 50) }
        _ = try replica.whileFollowing(in: item.epoch) { follower, history in
            if answer.divergingEpoch.endOffset >= 0 || answer.divergingEpoch.epoch >= 0 {
                let end = answer.divergingEpoch
                let known =
                    end.epoch >= 0
                    ? EpochEnd(epoch: LeaderEpoch(end.epoch), endOffset: Offset(end.endOffset))
                    : nil
                if let cut = follower.diverged(known, history) { try truncate(replica, to: cut) }
                return
            }
            guard follower.hasAgreed(history), history.logEnd == offset else { return }
            if let records = answer.records, !records.isEmpty {
                let id = TopicPartition(topic: replica.topic, partition: replica.id.partition)
                let fetched = try FetchedPartition(answer, of: id, from: offset)
                try replica.log.appendReplica(Array(fetched.batches).rawSpan)
            }
            try replica.storeWhatIsHere()
            let leaders = Offset(max(answer.highWatermark, 0))
            if let mark = follower.highWatermark(leaders: leaders, history) {
                replica.log.raiseHighWatermark(to: mark)
            }
            if answer.logStartOffset > replica.log.logStart.rawValue {
                let start = min(Offset(answer.logStartOffset), replica.log.highWatermark)
                _ = try replica.log.deleteRecords(before: start)
            }
        }
    }

    /// The leader has nothing that goes on where this log ends: begins where the leader's begins.
    private func restart(_ replica: Replica, _ epoch: LeaderEpoch, at start: Offset) throws {
        guard start > replica.log.logEnd else { return rest(replica, milliseconds: 200) }
        _ = try replica.whileFollowing(in: epoch) { _, history in
            guard start > history.logEnd else { return }
            configuration.logger.warning(
                """
                \(replica.partition.name) ends at \(history.logEnd), and member \(leader) has \
                nothing before \(start): the replica begins anew there.
                """)
            try engine.restartReplica(replica.log, at: start)
        }
    }

    private func rest(_ replica: Replica, milliseconds: Int64) {
        state.withLock { $0.rests[replica.id] = .now + .milliseconds(milliseconds) }
    }

    private func note(_ error: any Error, of replica: Replica) {
        configuration.logger.warning(
            "\(replica.partition.name) could not take what member \(leader) has: \(error)")
        rest(replica, milliseconds: 1000)
    }
}
