import Tally
import TallyTransactions
import Testing

@testable import TallyStateStore

/// Epochs of a transactional id that run out, with the id in `state.db`.
@Suite("Stored epochs", .timeLimit(.minutes(10)))
struct StoredEpochTests {
    private func engine(_ directory: ScratchDirectory) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        return try await Engine.open(at: directory.path, configuration: configuration)
    }

    /// Who the transactional id's producer is, as stored.
    private func producer(_ directory: ScratchDirectory) throws -> ProducerIdentity {
        let state = try SQLiteState.read(inDataDirectory: directory.path)
        let records = try state.transactions.loadTransactions()
        try state.close()
        try #require(records.count == 1)
        #expect(records[0].verify() == [])
        #expect(try StateDatabase(readingDirectory: directory.path).verify() == [])
        return records[0].producer
    }

    private func send(_ numbers: Range<Int>, _ engine: Engine) async throws {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        for number in numbers {
            try await producer.withTransaction { producer in
                _ = try await producer.send(key: nil, value: "\(number)", to: "a")
            }
        }
    }

    private func committed(_ engine: Engine) async throws -> [String] {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = .readCommitted
        var values: [String] = []
        for try await records in try engine.consumer(of: "a", configuration) {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
        }
        return values
    }

    @Test("a new producer id follows the last epoch, is kept, and goes on after a restart")
    func exhaustion() async throws {
        let directory = try ScratchDirectory()
        let last = ProducerIdentity(id: 5, epoch: Int16.max - 2)
        let state = try SQLiteState.open(inDataDirectory: directory.path)
        try state.transactions.save(
            TransactionRecord(
                transactionalID: "t", producer: last, timeoutMilliseconds: 60_000,
                updatedAt: .now))
        try state.close()

        let first = try await engine(directory)
        try await first.createTopic("a", partitions: 1)
        try await send(0..<3, first)
        try await first.close()
        let stored = try producer(directory)
        #expect(stored.id != 5 && stored.epoch == 2)

        let second = try await engine(directory)
        try await send(3..<5, second)
        #expect(try await committed(second) == (0..<5).map(String.init))
        #expect(try await second.openTransactions(of: "a").isEmpty)
        try await second.close()
        #expect(try producer(directory) == ProducerIdentity(id: stored.id, epoch: 5))
    }
}
