import TallyGroups
import TallyLog
import TallyRecords
import TallyTransactions

/// The transactions of a producer on a cluster: the same state machine as on an engine, and what
/// links it to the cluster. A value.
struct RemoteTransaction: Sendable {
    let state: ProducerTransaction
    let link: RemoteTransactionLink

    init(
        _ cluster: any RemoteCluster, of transactionalID: String,
        _ configuration: ProducerConfiguration
    ) {
        link = RemoteTransactionLink(
            cluster.transactions(of: transactionalID), configuration)
        state = ProducerTransaction(transactionalID: transactionalID, link: link)
    }

    /// The time that a record may take was over before its partition took part.
    private struct TimeOver: Error {}

    /// Has a partition take part, and returns who writes there; nil where that takes longer than
    /// it may.
    ///
    /// Throws ``EngineError/transaction(_:)``.
    func join(
        _ partition: TopicPartition, within milliseconds: Int64
    ) async throws -> ProducerIdentity? {
        if !state.includes(partition) {
            do {
                try await include(partition, within: milliseconds)
            } catch is TimeOver {
                return nil
            }
        }
        return state.identity
    }

    private func include(_ partition: TopicPartition, within milliseconds: Int64) async throws {
        let waiter = WaitingAnswer<Result<Void, any Error>>()
        let limit = Task {
            let time = Duration.milliseconds(min(milliseconds, 86_400_000))
            guard (try? await Task.sleep(for: time)) != nil else { return }
            waiter.tell(.failure(TimeOver()))
        }
        defer { limit.cancel() }
        try await withCheckedContinuation { continuation in
            waiter.begin(continuation)
            state.include(partition) { waiter.tell($0) }
        }.get()
    }

    /// Hands a member's offsets over.
    ///
    /// Throws ``EngineError/group(_:)`` and ``EngineError/transaction(_:)``.
    func commitOffsets(
        _ offsets: [TopicPartition: OffsetToCommit], of consumer: GroupConsumer,
        as producer: ProducerIdentity
    ) async throws(EngineError) {
        let outcome: Result<[TopicPartition: GroupError], TransactionError>
        do throws(GroupError) {
            outcome = try await consumer.asMember(offsets) { (request) throws(GroupError) in
                let outcome = await commitOffsets(request, as: producer)
                // What is said of all of them is said of the request, and may pass.
                if case .success(let refused) = outcome, refused.count == request.offsets.count,
                    let first = refused.first?.value, refused.values.allSatisfy({ $0 == first })
                {
                    throw first
                }
                return outcome
            }
        } catch {
            throw .group(error)
        }
        switch outcome {
        case .success(let refused):
            if let first = refused.min(by: { $0.key < $1.key }) { throw .group(first.value) }
        case .failure(let error): throw .transaction(error)
        }
    }

    private func commitOffsets(
        _ request: OffsetCommitRequest, as producer: ProducerIdentity
    ) async -> Result<[TopicPartition: GroupError], TransactionError> {
        do throws(TransactionError) {
            return .success(try await link.commitOffsets(request, as: producer))
        } catch {
            return .failure(error)
        }
    }
}
