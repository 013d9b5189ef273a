import TallyTestSupport
import Testing

@testable import Tally

/// Producers of a transactional id whose epochs run out.
@Suite(.timeLimit(.minutes(10))) struct EpochExhaustionTests {
    /// An engine that finds a producer 5 of the transactional id `t` in its store.
    private func engine(at path: String, epoch: Int16) async throws -> Engine {
        let store = InMemoryTransactionStore()
        store.save(
            TransactionRecord(
                transactionalID: "t", producer: ProducerIdentity(id: 5, epoch: epoch),
                timeoutMilliseconds: 60_000, updatedAt: .now))
        var configuration = EngineConfiguration()
        configuration.state = EngineStateFactory { _ in TestState(transactions: store) }
        let engine = try await Engine.open(at: path, configuration: configuration)
        for topic in ["a", "b"] { try await engine.createTopic(topic, partitions: 1) }
        return engine
    }

    /// Who wrote the batches of a topic: of records, and of markers.
    private func producers(
        of topic: String, in engine: Engine
    ) async throws -> (records: [ProducerIdentity], markers: [ProducerIdentity]) {
        var records: [ProducerIdentity] = []
        var markers: [ProducerIdentity] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await fetched in try engine.consumer(of: topic, configuration) {
            try fetched.forEachBatch { batch in
                let producer = ProducerIdentity(
                    id: batch.header.producerID, epoch: batch.header.producerEpoch)
                if batch.header.attributes.isControl {
                    markers.append(producer)
                } else {
                    records.append(producer)
                }
            }
        }
        return (records, markers)
    }

    @Test(
        "a new producer id follows the last epoch, and each committed record is there once",
        arguments: [true, false])
    func exhaustion(isLastCommitted: Bool) async throws {
        let directory = try TemporaryDirectory()
        let engine = try await engine(at: directory.path, epoch: Int16.max - 2)
        let producer = try await engine.transactionalProducer()
        // The first has the last epoch that a producer is given; its end brings another id.
        for number in 0..<5 {
            try producer.beginTransaction()
            for topic in ["a", "b"] { try producer.enqueue("\(number)", to: topic) }
            if number == 0, !isLastCommitted {
                try await producer.abortTransaction()
            } else {
                try await producer.commitTransaction()
            }
        }
        let expected = (isLastCommitted ? 0..<5 : 1..<5).map(String.init)
        for topic in ["a", "b"] {
            #expect(try await engine.committedValues(of: topic) == expected)
            #expect(try await engine.openTransactions(of: topic).isEmpty)
            let (records, markers) = try await producers(of: topic, in: engine)
            let last = ProducerIdentity(id: 5, epoch: Int16.max - 1)
            // An aborted batch may never have been written.
            let new = isLastCommitted ? records.dropFirst() : records.drop { $0 == last }
            if isLastCommitted { #expect(records.first == last) }
            let id = try #require(new.first).id
            #expect(id != 5)
            #expect(new.map(\.id) == Array(repeating: id, count: 4))
            #expect(new.map(\.epoch) == [0, 1, 2, 3])
            // The markers fence with an epoch more; that of the last epoch has the last number.
            let fences = new.map { ProducerIdentity(id: id, epoch: $0.epoch + 1) }
            #expect(markers.suffix(4) == fences[...])
            if isLastCommitted {
                #expect(markers.first == ProducerIdentity(id: 5, epoch: Int16.max))
            }
        }
        try await engine.close()
    }

    @Test("who had the last epoch is fenced by the next producer, which has another id")
    func fencing() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await engine(at: directory.path, epoch: Int16.max - 2)
        let zombie = try await engine.transactionalProducer()
        try zombie.beginTransaction()
        try zombie.enqueue("zombie", to: "a")
        try await zombie.flush()
        let successor = try await engine.transactionalProducer()
        try await successor.withTransaction { try $0.enqueue("successor", to: "a") }
        await #expect(throws: EngineError.self) { try await zombie.commitTransaction() }
        #expect(try await engine.committedValues(of: "a") == ["successor"])
        let (records, _) = try await producers(of: "a", in: engine)
        #expect(records.first == ProducerIdentity(id: 5, epoch: Int16.max - 1))
        #expect(try #require(records.last).id != 5 && records.count == 2)
        #expect(try await engine.openTransactions(of: "a").isEmpty)
        try await engine.close()
    }
}
