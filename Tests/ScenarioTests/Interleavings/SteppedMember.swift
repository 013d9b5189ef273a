import Synchronization
import Tally

/// A member of a group that reads one record when it is told to, and meanwhile does nothing but
/// take part in the group: what happens next is for a schedule to say, and not for the threads.
///
/// All partitions are paused but the one that is to be read. Thread rule: one task steps it.
final class SteppedMember: Sendable {
    /// What is done with partitions that come, before they are read.
    typealias Taking = @Sendable (GroupConsumer, Set<TopicPartition>) async throws -> Void

    let number: Int
    let consumer: GroupConsumer
    private let mailbox: Mailbox
    private let task: Task<Void, Never>

    init(
        _ number: Int, of group: String, topics: Set<String>, in engine: Engine,
        reset: OffsetReset, commitsWhatIsTaken: Bool, taking: Taking?
    ) throws {
        self.number = number
        let mailbox = Mailbox()
        self.mailbox = mailbox
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = reset
        // Who gets what goes by the members' ids, which begin with it and end at random.
        configuration.clientID = "reader-\(1000 + number)"
        // A record an element: each was sent in a batch of its own.
        configuration.reading.fetchBytesMax = 1
        configuration.onRebalance = { consumer, event in
            switch event {
            case .assigned(let partitions):
                try await taking?(consumer, partitions)
                try consumer.pause(partitions)
                mailbox.noteAssigned(partitions)
            case .revoked(let partitions):
                let handled = mailbox.takeHandled(partitions)
                guard commitsWhatIsTaken, !handled.isEmpty else { return }
                try await consumer.commit(handled)
                mailbox.noteCommitted(handled)
            case .lost: break
            }
        }
        let consumer = try engine.consumer(group: group, topics: topics, configuration)
        self.consumer = consumer
        task = Task {
            var reading = consumer.makeAsyncIterator()
            while !Task.isCancelled {
                do {
                    guard let records = try await reading.next() else { return }
                    // Not the next one before somebody asks for it.
                    try? consumer.pause([records.id])
                    mailbox.deliver(.success(records))
                } catch {
                    guard !Task.isCancelled else { return }
                    mailbox.deliver(.failure(error))
                    while !Task.isCancelled, mailbox.hasDelivery {
                        try? await Task.sleep(for: .milliseconds(1))
                    }
                }
            }
        }
    }

    /// Partitions that came since somebody asked last.
    func takeAssigned() -> Set<TopicPartition> { mailbox.takeAssigned() }

    /// What was committed, since somebody asked last, when it was taken away.
    func takeCommitted() -> [TopicPartition: OffsetToCommit] { mailbox.takeCommitted() }

    /// An error that reading ended with, which stays until it is mended.
    var failure: (any Error)? { mailbox.failure }

    /// What the error was about has been mended: reading goes on.
    func goOn() { _ = mailbox.takeDelivery() }

    /// How far it is with its work in a partition, to be committed where that is taken from it.
    func note(handled offset: OffsetToCommit, in partition: TopicPartition) {
        mailbox.noteHandled(offset, partition)
    }

    /// Reads a partition until a record or an error comes; nil where neither does before the
    /// position is where `isThrough` says.
    func read(
        _ partition: TopicPartition, isThrough: (Offset?) -> Bool
    ) async throws -> Result<ConsumedRecords, any Error>? {
        try consumer.resume([partition])
        for _ in 0..<10_000 {
            if mailbox.hasDelivery {
                // An error stays, and so does what is wrong, until somebody mends it.
                if let failure = mailbox.failure {
                    try consumer.pause([partition])
                    return .failure(failure)
                }
                return mailbox.takeDelivery()
            }
            if isThrough(consumer.positions[partition]) {
                try consumer.pause([partition])
                return nil
            }
            try await Task.sleep(for: .milliseconds(1))
        }
        return nil
    }

    /// Leaves in order: what is taken from it is committed, where it does that.
    func leave() async throws {
        task.cancel()
        await task.value
        try await consumer.close()
    }

    /// Stops, and says nothing to anybody. The group notices when the consumer is dropped.
    func die() async {
        task.cancel()
        await task.value
    }
}

extension ConsumedRecords {
    /// Topic and number.
    var id: TopicPartition { TopicPartition(topic: topic, partition: partition) }

    /// The position behind them.
    var position: OffsetToCommit { OffsetToCommit(offset: nextOffset, leaderEpoch: leaderEpoch) }
}

/// What a member's own task and the schedule tell each other. Thread rule: any task.
private final class Mailbox: Sendable {
    private struct State {
        var delivery: Result<ConsumedRecords, any Error>?
        var handled: [TopicPartition: OffsetToCommit] = [:]
        var assigned: Set<TopicPartition> = []
        var committed: [TopicPartition: OffsetToCommit] = [:]
    }

    private let state = Mutex(State())

    var hasDelivery: Bool { state.withLock { $0.delivery != nil } }

    var failure: (any Error)? {
        state.withLock { state in
            guard case .failure(let error)? = state.delivery else { return nil }
            return error
        }
    }

    func deliver(_ result: Result<ConsumedRecords, any Error>) {
        state.withLock { $0.delivery = result }
    }

    func takeDelivery() -> Result<ConsumedRecords, any Error>? {
        state.withLock { state in
            defer { state.delivery = nil }
            return state.delivery
        }
    }

    func noteHandled(_ offset: OffsetToCommit, _ partition: TopicPartition) {
        state.withLock { $0.handled[partition] = offset }
    }

    func takeHandled(_ partitions: Set<TopicPartition>) -> [TopicPartition: OffsetToCommit] {
        state.withLock { state in
            let taken = state.handled.filter { partitions.contains($0.key) }
            for partition in partitions { state.handled[partition] = nil }
            return taken
        }
    }

    func noteAssigned(_ partitions: Set<TopicPartition>) {
        state.withLock { $0.assigned.formUnion(partitions) }
    }

    func noteCommitted(_ offsets: [TopicPartition: OffsetToCommit]) {
        state.withLock { $0.committed.merge(offsets) { $1 } }
    }

    func takeAssigned() -> Set<TopicPartition> {
        state.withLock { state in
            defer { state.assigned = [] }
            return state.assigned
        }
    }

    func takeCommitted() -> [TopicPartition: OffsetToCommit] {
        state.withLock { state in
            defer { state.committed = [:] }
            return state.committed
        }
    }
}
