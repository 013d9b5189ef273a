import Logging
import Tally
import TallyClient
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire

/// One connection to a leader: all partitions of its lane in one request, one request at a time.
///
/// Before anything else a log is made to agree with the leader's, by leader epochs. What comes is
/// on stable storage before the next request says so where the topic promises that. Thread rule:
/// one task, on the connection's thread, which nobody else uses: it blocks.
struct FetchLane {
    private let lane: FetchLanes.Lane
    private let fetcher: ReplicaFetcher
    private let arrival: Arrival
    private let thread: ConnectionThread
    private let work: FollowerWork
    private var connection: BrokerConnection?

    /// How long a request on a busy lane waits at most: until then nothing else can be asked for.
    private static let busyWaitMilliseconds: Int32 = 20

    init(
        _ lane: FetchLanes.Lane, of fetcher: ReplicaFetcher, _ arrival: Arrival,
        on thread: ConnectionThread
    ) {
        self.lane = lane
        self.fetcher = fetcher
        self.arrival = arrival
        self.thread = thread
        work = FollowerWork(
            leader: fetcher.leader, engine: fetcher.engine, logger: fetcher.configuration.logger)
    }

    /// Fetches until the task is cancelled.
    mutating func run() async {
        while !Task.isCancelled {
            let seen = arrival.count
            let (replicas, haveOthers) = fetcher.take(for: lane)
            let plan = plan(replicas)
            do {
                if !plan.epochEnds.isEmpty {
                    try await compareEpochs(plan)
                } else if !plan.fetches.isEmpty {
                    try await fetch(plan)
                } else {
                    let areWaiting = haveOthers || !replicas.isEmpty
                    await arrival.wait(after: seen, milliseconds: areWaiting ? 50 : 60_000)
                }
            } catch {
                if Task.isCancelled { break }
                fetcher.configuration.logger.debug(
                    "Nothing came from member \(fetcher.leader): \(error)")
                await disconnect()
                await arrival.wait(after: seen, milliseconds: 100)
            }
        }
        await disconnect()
    }

    private func plan(_ replicas: [Replica]) -> FollowerPlan {
        // Nothing is asked of a log whose end could not be synced when it came.
        let unsynced = replicas.filter { $0.log.keptEnd < $0.log.logEnd }
        settle(unsynced) { index in
            try unsynced[index].storeWhatIsHere()
            return nil
        }
        let isOpen = fetcher.throttle.isOpen()
        return FollowerPlan(isOpen ? replicas : replicas.filter(isInSync), of: fetcher.leader)
    }

    /// Whether the store says that this member has all of a partition: then it is never slowed
    /// down, or acknowledgements would be.
    private func isInSync(_ replica: Replica) -> Bool {
        let id = fetcher.configuration.id
        return fetcher.news.look { image in
            image.state(of: replica.id)?.inSyncReplicas.contains(id) ?? false
        }
    }

    /// Does something for each of some replicas, side by side. One for which a time comes back is
    /// left alone so long, and one whose log refuses for a second.
    private func settle(
        _ replicas: [Replica], _ body: @escaping @Sendable (Int) throws -> Duration?
    ) {
        fetcher.engine.share(replicas.count) { [fetcher] index in
            do {
                if let time = try body(index) { fetcher.rest(replicas[index], for: time) }
            } catch {
                fetcher.configuration.logger.warning(
                    """
                    \(replicas[index].partition.name) could not take what member \
                    \(fetcher.leader) has: \(error)
                    """)
                fetcher.rest(replicas[index], for: .seconds(1))
            }
        }
    }

    // MARK: The connection

    private mutating func connect() async throws -> BrokerConnection {
        if let connection, connection.isOpen { return connection }
        let made = try await fetcher.news.connect(
            to: fetcher.leader, as: "replica-\(fetcher.configuration.nodeID)", on: thread)
        connection = made
        return made
    }

    private mutating func disconnect() async {
        await connection.take()?.close()
    }

    // MARK: Asking

    private mutating func compareEpochs(_ plan: FollowerPlan) async throws {
        let answer = try await connect().send(plan.epochRequest(from: fetcher.configuration.id))
        var ends: [TopicPartition: OffsetForLeaderEpochResponse.EpochEnd] = [:]
        for topic in answer.topics {
            for end in topic.partitions {
                ends[TopicPartition(topic: topic.name, partition: end.partition)] = end
            }
        }
        let items = plan.epochEnds
        settle(items.map(\.replica)) { [work, ends] index in
            try work.agree(with: ends[items[index].replica.place], items[index])
        }
    }

    private mutating func fetch(_ plan: FollowerPlan) async throws {
        let configuration = fetcher.configuration
        var request = plan.fetchRequest(from: fetcher.process, configuration)
        if lane != .quiet {
            request.maxWaitMilliseconds = min(
                request.maxWaitMilliseconds, Self.busyWaitMilliseconds)
        }
        let answer = try await connect().send(
            request, waitMilliseconds: Int64(request.maxWaitMilliseconds))
        guard answer.errorCode == .none else {
            throw ClientError.refused(
                request: "Fetch", subject: "\(plan.fetches.count) partitions",
                code: answer.errorCode, message: nil)
        }
        take(answer, plan)
    }

    private func take(_ answer: FetchResponse, _ plan: FollowerPlan) {
        var found: [PartitionID: FetchResponse.Partition] = [:]
        for topic in answer.responses {
            let id = UInt128(topic.topicID.high) << 64 | UInt128(topic.topicID.low)
            for partition in topic.partitions {
                found[PartitionID(topicID: id, partition: partition.partitionIndex)] = partition
            }
        }
        let answers = plan.fetches.compactMap { item in
            found[item.replica.id].map { (item: item, partition: $0) }
        }
        if fetcher.throttle.isLimited {
            fetcher.throttle.take(
                answers.filter { !isInSync($0.item.replica) }
                    .reduce(0) { $0 + ($1.partition.records?.count ?? 0) })
        }
        settle(answers.map(\.item.replica)) { [work, answers] index in
            try work.take(answers[index].partition, answers[index].item)
        }
        fetcher.note(
            answers.filter { $0.partition.errorCode == .none }.map { answer in
                (answer.item.replica.id, !(answer.partition.records ?? []).isEmpty)
            }, on: lane)
    }
}
