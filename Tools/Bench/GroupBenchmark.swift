import Foundation
import GRDB
import Synchronization
import Tally
import TallyStateStore

/// Measures consumer groups: how long a rebalance takes, and how often positions are committed.
struct GroupBenchmark {
    let directory: String
    let runs: Int

    // MARK: Rebalances

    /// From the third member's beginning until all three have their share: the two that were there
    /// are told, give up what moves, and the third reads it.
    func rebalance(_ partitions: Int) async throws -> BenchmarkLine {
        let (joins, updates) = try await ClientBenchmark.withPlaces(in: directory) {
            engine, queue in
            try await engine.createTopic("t", partitions: partitions)
            try await queue.database.write { db in
                for part in 0..<partitions {
                    try db.execute(
                        sql: "INSERT INTO owner VALUES (?, ?)", arguments: [part, part % 2])
                }
            }
            var (joins, updates): ([Duration], [Duration]) = ([], [])
            for run in 0..<runs {
                joins.append(try await join(run, partitions, engine))
                // The same share of rows gets another owner.
                updates.append(
                    try await ContinuousClock().measure {
                        try await queue.database.write { db in
                            try db.execute(
                                sql: "UPDATE owner SET member = ? WHERE part % 3 = 0",
                                arguments: [run + 2])
                        }
                    })
            }
            return (Quantiles(joins), Quantiles(updates))
        }
        return BenchmarkLine(
            name: "rebalance of \(partitions) partitions, 2 to 3 members",
            perSecond: joins.milliseconds(0.5) * 1000, unit: "µs",
            limitName: "SQLite update of a third of the owners",
            limitPerSecond: updates.milliseconds(0.5) * 1000, isDuration: true,
            note: "median of \(runs)")
    }

    private func join(_ run: Int, _ partitions: Int, _ engine: Engine) async throws -> Duration {
        let shares = Shares(memberCount: 3)
        var members: [Member] = []
        for index in 0..<2 { members.append(try Member(index, run, engine, shares)) }
        try await shares.wait { $0[0].count + $0[1].count == partitions && $0[1].count > 0 }
        let start = ContinuousClock.now
        members.append(try Member(2, run, engine, shares))
        try await shares.wait { shares in
            shares.map(\.count).reduce(0, +) == partitions
                && shares.allSatisfy { $0.count >= partitions / 3 }
        }
        let time = ContinuousClock.now - start
        for member in members { try await member.close() }
        return time
    }

    /// What each member has, as its listener was told.
    private final class Shares: Sendable {
        private let state: Mutex<State>

        private struct State {
            var shares: [Set<TopicPartition>]
            var changed: CheckedContinuation<Void, Never>?
            var isChanged = false
        }

        init(memberCount: Int) {
            state = Mutex(State(shares: Array(repeating: [], count: memberCount)))
        }

        func note(_ event: GroupRebalance, of member: Int) {
            let waiter = state.withLock { state in
                switch event {
                case .assigned(let more): state.shares[member].formUnion(more)
                case .revoked(let gone), .lost(let gone): state.shares[member].subtract(gone)
                }
                state.isChanged = true
                defer { state.changed = nil }
                return state.changed
            }
            waiter?.resume()
        }

        func wait(until isSo: ([Set<TopicPartition>]) -> Bool) async throws {
            while true {
                let shares = state.withLock { state in
                    state.isChanged = false
                    return state.shares
                }
                if isSo(shares) { return }
                await withCheckedContinuation { continuation in
                    let isChanged = state.withLock { state in
                        if !state.isChanged { state.changed = continuation }
                        return state.isChanged
                    }
                    if isChanged { continuation.resume() }
                }
            }
        }
    }

    private struct Member {
        let consumer: GroupConsumer
        let task: Task<Void, any Error>

        init(_ index: Int, _ run: Int, _ engine: Engine, _ shares: Shares) throws {
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.onRebalance = { _, event in shares.note(event, of: index) }
            let consumer = try engine.consumer(group: "g\(run)", topics: ["t"], configuration)
            self.consumer = consumer
            task = Task { for try await _ in consumer {} }
        }

        func close() async throws {
            try await consumer.close()
            try await task.value
        }
    }

    // MARK: Commits

    /// Positions that are committed, each waited for, by one member.
    func commits(from tasks: Int) async throws -> BenchmarkLine {
        let count = 4000
        let (committed, updated) = try await ClientBenchmark.withPlaces(in: directory) {
            engine, queue in
            try await engine.createTopic("t", partitions: 16)
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            let consumer = try engine.consumer(group: "g", topics: ["t"], configuration)
            let task = Task { for try await _ in consumer {} }
            while consumer.assignment.count < 16 {
                try await Task.sleep(for: .milliseconds(1))
            }
            let number = Atomic<Int>(0)
            let updated = try await rate(count, tasks) {
                let next = number.wrappingAdd(1, ordering: .relaxed).newValue
                try await queue.database.write { try QueueTable.move(next % 16, to: next, $0) }
            }
            let committed = try await rate(count, tasks) {
                let next = number.wrappingAdd(1, ordering: .relaxed).newValue
                let id = TopicPartition(topic: "t", partition: Int32(next % 16))
                try await consumer.commit([id: OffsetToCommit(offset: Offset(Int64(next)))])
            }
            try await consumer.close()
            try await task.value
            return (committed, updated)
        }
        return BenchmarkLine(
            name: "commits of positions, \(tasks) task" + (tasks == 1 ? "" : "s"),
            perSecond: committed.perSecond, unit: "commits",
            limitName: "SQLite update of a position",
            limitPerSecond: updated.perSecond,
            note: "\(committed.quantiles); SQLite \(updated.quantiles)")
    }

    private func rate(
        _ count: Int, _ tasks: Int, _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> (perSecond: Double, quantiles: Quantiles) {
        let start = ContinuousClock.now
        let quantiles = try await ClientBenchmark.latencies(count / tasks, tasks, body)
        let time = (ContinuousClock.now - start) / .seconds(1)
        return (Double(count / tasks * tasks) / time, quantiles)
    }
}
