import Synchronization
import Tally
import TallyKafka
import TallyRecords

/// A group of two members that reads all partitions of a topic, commits after each fetch, and holds
/// against the cluster whatever a group must never see.
///
/// A partition that a member is given is begun where the group's last acknowledged commit was, or
/// behind it, where a commit of which nobody knows was carried out: before it, a committed offset
/// has gone back; behind all that anybody has committed, records are missed. Thread rule: any task.
final class SteadyGroup: Sendable {
    private struct State {
        /// By partition, the number at each offset.
        var numbers: [Int32: [Offset: Int]] = [:]
        /// What was acknowledged as committed, and the furthest that was tried.
        var committed: [Int32: Offset] = [:]
        var attempted: [Int32: Offset] = [:]
        /// Where each member goes on; none for what it was given and has not begun.
        var next: [Int: [Int32: Offset]] = [:]
        var refusals: [String] = []
        var problems: [String] = []
        var tasks: [Task<Void, Never>] = []
        var members: [GroupConsumer] = []
    }

    private let backend: Backend
    private let topic: String
    private let state = Mutex(State())
    /// The group's id.
    static let id = "steady"

    init(_ backend: Backend, topic: String) {
        self.backend = backend
        self.topic = topic
    }

    func start() throws {
        for member in 0..<2 {
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.sessionTimeoutMilliseconds = 6_000
            configuration.onRebalance = { [weak self] _, change in self?.note(change, member) }
            let consumer = try backend.consumer(
                group: Self.id, topics: [topic], configuration)
            let task = Task { await self.run(consumer, member) }
            state.withLock { state in
                state.tasks.append(task)
                state.members.append(consumer)
            }
        }
    }

    private func run(_ consumer: GroupConsumer, _ member: Int) async {
        do {
            for try await records in consumer {
                try take(records, member)
                await commit(records, with: consumer)
            }
        } catch is CancellationError {
        } catch {
            note("member \(member): \(error)")
        }
    }

    private func note(_ problem: String) {
        state.withLock { $0.problems.append(problem) }
    }

    private func note(_ change: GroupRebalance, _ member: Int) {
        let touched: Set<TopicPartition> =
            switch change {
            case .revoked(let gone), .lost(let gone): gone
            case .assigned(let come): come
            }
        state.withLock { state in
            for partition in touched { state.next[member]?[partition.partition] = nil }
        }
    }

    private func take(_ records: ConsumedRecords, _ member: Int) throws {
        var found: [(Offset, Int)] = []
        try records.forEachRecord { record in
            let word = record.valueText?.split(separator: " ").first
            found.append((record.offset, word.flatMap { Int($0) } ?? -1))
        }
        guard let first = found.first?.0 else { return }
        let partition = records.partition
        state.withLock { state in
            if let next = state.next[member]?[partition] {
                if first != next {
                    state.problems.append(
                        "\(partition): member \(member) read on at \(first), not at \(next)")
                }
            } else {
                let least = state.committed[partition] ?? .zero
                let most = state.attempted[partition] ?? .zero
                if first < least || first > max(least, most) {
                    state.problems.append(
                        """
                        \(partition): member \(member) begins at \(first), where \(least) is \
                        committed and nobody has committed more than \(most)
                        """)
                }
            }
            state.next[member, default: [:]][partition] = records.nextOffset
            for (offset, number) in found {
                let known = state.numbers[partition]?[offset]
                if let known, known != number {
                    state.problems.append(
                        "\(partition): at offset \(offset) was \(known), and is \(number)")
                }
                state.numbers[partition, default: [:]][offset] = number
            }
        }
    }

    private func commit(_ records: ConsumedRecords, with consumer: GroupConsumer) async {
        let (partition, offset) = (records.partition, records.nextOffset)
        state.withLock {
            $0.attempted[partition] = max($0.attempted[partition] ?? .zero, offset)
        }
        do {
            try await consumer.commit(records)
            state.withLock {
                $0.committed[partition] = max($0.committed[partition] ?? .zero, offset)
            }
        } catch {
            // Whoever has the partition by now reads it again, or somebody commits more later.
            state.withLock { $0.refusals.append("\(partition) \(offset): \(error)") }
        }
    }

    // MARK: What has happened

    /// What was read, by partition.
    var numbers: [Int32: [Offset: Int]] { state.withLock { $0.numbers } }
    var committed: [Int32: Offset] { state.withLock { $0.committed } }
    var problems: [String] { state.withLock { $0.problems } }
    /// Commits of which nobody knows, or that were refused.
    var refusals: [String] { state.withLock { $0.refusals } }

    /// Waits until all before these ends is committed; false where it is not in time.
    func commits(_ ends: [Int32: Offset], seconds: Int = 30) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            let committed = committed
            if ends.allSatisfy({ committed[$0] ?? .zero >= $1 }) { return true }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    /// What the cluster says that is committed, asked by one of the members.
    func stored(partitions: Int32) async throws -> [Int32: Offset] {
        let members = state.withLock { $0.members }
        guard let member = members.first else { return [:] }
        let all = Set((0..<partitions).map { TopicPartition(topic: topic, partition: $0) })
        let found = try await member.committed(all)
        return Dictionary(uniqueKeysWithValues: found.map { ($0.key.partition, $0.value.offset) })
    }

    func stop() async {
        let (tasks, members) = state.withLock { state in
            defer { (state.tasks, state.members) = ([], []) }
            return (state.tasks, state.members)
        }
        for member in members {
            do { try await member.close() } catch { note("leaving: \(error)") }
        }
        for task in tasks { await task.value }
        do { try await backend.close() } catch { note("closing: \(error)") }
    }
}
