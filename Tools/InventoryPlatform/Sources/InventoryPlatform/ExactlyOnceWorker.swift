import Tally

/// A moment in the work on one fetch, at which a test lets the process die.
enum WorkStep: Int, CaseIterable, Sendable {
    /// Nothing was done yet.
    case fetched
    /// Results were handed to the producer, and may be in the log.
    case processed
    /// The group's offsets are part of the transaction.
    case offsetsSent
    /// The transaction is committed.
    case committed
}

/// What tests do at each step; nothing in an application.
typealias WorkProbe = @Sendable (WorkStep, ConsumedRecords) async throws -> Void

/// Reads, processes and writes in transactions: results and the group's position become visible
/// together or not at all.
///
/// Each instance that runs has a `transactional.id` of its own, the same after a restart: what the
/// process before left open is aborted by `initTransactions`. An instance whose partitions went to
/// another one meanwhile cannot commit, since the group refuses its generation; it begins anew as
/// a new member. One whose `transactional.id` was taken over ends with the error.
struct ExactlyOnceWorker {
    /// How it reads.
    var member: GroupWorker
    let transactionalID: String
    /// For tests.
    var probe: WorkProbe = { _, _ in }

    init(_ engine: Engine, group: String, topic: String, instance: Int) {
        member = GroupWorker(engine, group: group, topic: topic)
        transactionalID = "\(group)-\(instance)"
    }

    /// Processes until the shutdown. `session` makes what processes the fetches of one membership:
    /// after an error nothing of it counts any more, and another one is made.
    func run<Session: ExactlyOnceSession>(
        _ session: () async throws -> Session
    ) async throws {
        while true {
            do {
                return try await runOnce(try await session())
            } catch EngineError.group(let error) where error.isOvertaken {
                // The group has gone on without this member; what it had in hand was not
                // committed, and is done by whoever has the partition now.
            }
        }
    }

    private func runOnce(_ session: consuming some ExactlyOnceSession) async throws {
        var session = session
        var writing = ProducerConfiguration()
        writing.transactionalID = transactionalID
        // A process that hangs must not hold up the readers of its topics for longer.
        writing.transactionTimeoutMilliseconds = 10_000
        let producer = try member.engine.producer(writing)
        try await producer.initTransactions()
        try await member.run { records, consumer in
            try await probe(.fetched, records)
            // Reading comes before the transaction: it may have to wait for the end of others.
            try await session.prepare(for: records)
            try await producer.withTransaction { producer in
                try await session.process(records, producer)
                try await probe(.processed, records)
                try await producer.sendOffsets(behind: records, of: consumer)
                try await probe(.offsetsSent, records)
            }
            try await probe(.committed, records)
        }
    }
}

/// What one membership of a group knows and does. One task at a time.
protocol ExactlyOnceSession {
    /// Brings what it knows up to date, before the transaction.
    mutating func prepare(for records: ConsumedRecords) async throws
    /// Sends the results, in the transaction.
    mutating func process(_ records: ConsumedRecords, _ producer: Producer) async throws
}

extension Producer {
    /// Takes a record, waiting for room where there is none; in the topic by item the partition is
    /// the one that the item's key belongs to.
    func add(_ topic: String, partition: Int32? = nil, key: String, value: [UInt8]?) async throws {
        try await waitForRoom()
        let keyBytes = Array(key.utf8)
        try enqueue(
            topic: topic, partition: partition, key: keyBytes.span.bytes, value: value?.span.bytes)
    }
}
