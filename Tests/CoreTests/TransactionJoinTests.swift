import Synchronization
import TallyRecords
import TallyTransactions
import Testing

@testable import Tally

/// How partitions come to take part in a transaction, with a coordinator whose answers are the
/// test's.
@Suite("Taking part in a transaction") struct TransactionJoinTests {
    /// Is asked at once, and answers when it is told to: as one whose decisions others commit.
    private final class Coordinator: TransactionLink {
        private let answers = Mutex<[Answer]>([])
        var mayHaveBegun: Bool { false }

        func addPartitions(
            to transactionalID: String,
            gather: @escaping @Sendable () -> (ProducerIdentity?, TransactionJoiners),
            answer: @escaping Answer
        ) {
            _ = gather()
            answers.withLock { $0.append(answer) }
        }

        /// Answers what was asked first.
        func answer(_ result: Result<ProducerIdentity?, TransactionError>) {
            let first = answers.withLock { $0.removeFirst() }
            first(result)
        }

        func addGroup(
            _ group: String, to transactionalID: String, producer: ProducerIdentity
        ) async throws(TransactionError) -> ProducerIdentity? { nil }

        func confirmGroup(
            _ group: String, in transactionalID: String, producer: ProducerIdentity
        ) async throws(TransactionError) {}

        func end(
            _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
            timeout: Duration
        ) async throws(TransactionError) -> ProducerIdentity { producer }
    }

    @Test("who is asked for while others are being recorded is told by an answer of its own")
    func overlapping() {
        let coordinator = Coordinator()
        let transaction = ProducerTransaction(transactionalID: "t", link: coordinator)
        let told = Mutex<[String]>([])
        func include(_ index: Int32) {
            transaction.include(TopicPartition(topic: "t", partition: index)) { result in
                let isIn = (try? result.get()) != nil
                told.withLock { $0.append("\(index) \(isIn)") }
            }
        }
        include(0)
        include(1)
        #expect(told.withLock { $0.isEmpty })
        coordinator.answer(.success(nil))
        #expect(told.withLock { $0 } == ["0 true"])
        #expect(transaction.includes(TopicPartition(topic: "t", partition: 0)))
        #expect(!transaction.includes(TopicPartition(topic: "t", partition: 1)))
        coordinator.answer(.failure(.notCoordinator))
        #expect(told.withLock { $0 } == ["0 true", "1 false"])
        #expect(!transaction.includes(TopicPartition(topic: "t", partition: 1)))
    }
}
