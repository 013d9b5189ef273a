import Synchronization
import Tally
import TallyClient
import TallyReplication

/// Fetches from one leader what this member follows there.
///
/// Each of its lanes is a connection with a thread of its own, and a task on it; ``FetchLanes``
/// says which partition is fetched on which. Thread rule: any thread.
final class ReplicaFetcher: Sendable {
    let leader: ReplicaID
    /// Who fetches.
    let process: MemberProcess
    let engine: Engine
    let news: ClusterNews
    let throttle: FetchThrottle
    let configuration: ClusterConfiguration
    private let state: Mutex<State>
    /// Signalled where a lane has something to fetch that it had not before.
    private let arrivals: [FetchLanes.Lane: Arrival]

    private struct State {
        var lanes: FetchLanes
        var replicas: [PartitionID: Replica] = [:]
    }

    init(
        from leader: ReplicaID, as process: MemberProcess, engine: Engine, news: ClusterNews,
        throttle: FetchThrottle, _ configuration: ClusterConfiguration
    ) {
        self.leader = leader
        self.process = process
        self.engine = engine
        self.news = news
        self.throttle = throttle
        self.configuration = configuration
        let lanes = FetchLanes(busyCount: configuration.fetchersPerLeader)
        arrivals = Dictionary(uniqueKeysWithValues: lanes.lanes.map { ($0, Arrival()) })
        state = Mutex(State(lanes: lanes))
    }

    /// Fetches a partition from now on.
    func add(_ replica: Replica) {
        let lane = state.withLock { state in
            state.replicas[replica.id] = replica
            return state.lanes.add(replica.id)
        }
        arrivals[lane]?.signal()
    }

    /// Fetches a partition no more.
    func remove(_ id: PartitionID) {
        state.withLock { state in
            state.replicas[id] = nil
            state.lanes.remove(id)
        }
    }

    /// Fetches until the task is cancelled. What comes is written and synced on the thread that
    /// received it: two changes of threads less for each answer, where small ones come thousands of
    /// times a second.
    func run() async {
        let threads = arrivals.mapValues { _ in ConnectionThread() }
        await withDiscardingTaskGroup { group in
            for (lane, thread) in threads {
                guard let arrival = arrivals[lane] else { continue }
                group.addTask(executorPreference: thread) { [self] in
                    var lane = FetchLane(lane, of: self, arrival, on: thread)
                    await lane.run()
                }
            }
        }
        for thread in threads.values { await thread.stop() }
    }

    // MARK: The lanes' side

    /// What a lane has to fetch now; see ``FetchLanes/take(for:at:)``.
    func take(for lane: FetchLanes.Lane) -> (replicas: [Replica], haveOthers: Bool) {
        state.withLock { state in
            let (partitions, haveOthers) = state.lanes.take(for: lane, at: .now)
            return (partitions.compactMap { state.replicas[$0] }, haveOthers)
        }
    }

    /// A lane had an answer.
    func note(_ answers: [(id: PartitionID, hasRecords: Bool)], on lane: FetchLanes.Lane) {
        let targets = state.withLock { $0.lanes.note(answers, on: lane, at: .now) }
        for target in targets { arrivals[target]?.signal() }
    }

    /// Leaves a partition alone for a while, of which nothing can be had.
    func rest(_ replica: Replica, for time: Duration) {
        state.withLock { $0.lanes.rest(replica.id, until: .now + time) }
    }
}
