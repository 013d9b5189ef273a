import Synchronization
import TallyClient
import TallyLog
import TallyRecords
import TallyReplication
import TallyTransactions
import TallyWire

/// What coordinators of this member ask of others: connections to them, opened when they are
/// needed.
///
/// Thread rule: any task.
final class MemberRequests: Sendable {
    private let news: ClusterNews
    private let configuration: ClusterConfiguration
    private let writeHere:
        @Sendable (TransactionMarker, TopicPartition) async -> TransactionWorkOutcome
    private let connections = Mutex<[ReplicaID: BrokerConnection]>([:])

    /// - Parameter writeHere: writes a marker in a partition that this member leads.
    init(
        news: ClusterNews, _ configuration: ClusterConfiguration,
        writeHere:
            @escaping @Sendable (
                TransactionMarker, TopicPartition
            ) async -> TransactionWorkOutcome
    ) {
        self.news = news
        self.configuration = configuration
        self.writeHere = writeHere
    }

    /// Ends all connections.
    func close() async {
        let open = connections.withLock { connections in
            defer { connections = [:] }
            return Array(connections.values)
        }
        for connection in open { await connection.close() }
    }

    /// Who leads a partition, and in which epoch; nil where nobody does.
    private func leader(of partition: TopicPartition) -> (id: ReplicaID, epoch: LeaderEpoch)? {
        news.look { image in
            guard let state = image.state(of: partition.topic, partition.partition),
                let leader = state.leader
            else { return nil }
            return (leader, state.leaderEpoch)
        }
    }

    private func connection(to id: ReplicaID) async throws -> BrokerConnection {
        if let open = connections.withLock({ $0[id] }), open.isOpen { return open }
        let made = try await news.connect(
            to: id, as: "coordinator-\(configuration.nodeID)")
        connections.withLock { $0[id] = made }
        return made
    }

    // MARK: Markers

    /// Has whoever leads a partition write a marker.
    func writeMarker(
        to partition: TopicPartition, _ work: TransactionWork
    ) async -> TransactionWorkOutcome {
        guard let leader = leader(of: partition) else {
            // A topic that was deleted: nobody reads there.
            return news.look { $0.topics[partition.topic] == nil } ? .done : .failed
        }
        let marker = TransactionMarker(work, leaderEpoch: leader.epoch)
        if leader.id == configuration.id { return await writeHere(marker, partition) }
        var topic = WriteTransactionMarkersRequest.Topic()
        topic.name = partition.topic
        topic.partitions = [partition.partition]
        var request = WriteTransactionMarkersRequest()
        request.markers = [WriteTransactionMarkersRequest.Marker(marker)]
        request.markers[0].topics = [topic]
        do {
            let answer = try await connection(to: leader.id).send(request)
            let code = answer.markers.first?.topics.first?.partitions.first?.errorCode
            switch code {
            case ErrorCode.none: return .done
            case ErrorCode.invalidProducerEpoch, ErrorCode.transactionCoordinatorFenced:
                return .refused
            default: return .failed
            }
        } catch {
            return .failed
        }
    }

    // MARK: Taking part

    /// Asks the coordinator of a transactional id whether a partition takes part in its
    /// transaction, or has it take part.
    ///
    /// - Parameter coordinator: the partition of `__transaction_state` that keeps the id.
    func participate(
        _ partition: TopicPartition, in transactionalID: String, _ producer: ProducerIdentity,
        verifyOnly: Bool, coordinator: TopicPartition
    ) async throws(TransactionError) {
        guard let leader = leader(of: coordinator)?.id, leader != configuration.id else {
            throw .coordinatorNotAvailable(reason: "\(coordinator) has no leader that is known")
        }
        var transaction = AddPartitionsToTransactionRequest.Transaction()
        transaction.transactionalID = transactionalID
        transaction.producerID = producer.id
        transaction.producerEpoch = producer.epoch
        transaction.verifyOnly = verifyOnly
        var topic = AddPartitionsToTransactionRequest.Topic()
        topic.name = partition.topic
        topic.partitions = [partition.partition]
        transaction.topics = [topic]
        var request = AddPartitionsToTransactionRequest()
        request.transactions = [transaction]
        let code: ErrorCode
        do {
            let answer = try await connection(to: leader).send(request)
            let result = answer.transactionResults.first?.topicResults.first?.partitions.first
            code = result?.partitionErrorCode ?? answer.errorCode
        } catch {
            throw .coordinatorNotAvailable(reason: "\(error)")
        }
        guard code != .none else { return }
        throw TransactionError(code)
    }
}

extension WriteTransactionMarkersRequest.Marker {
    /// A marker, for no topic yet.
    fileprivate init(_ marker: TransactionMarker) {
        self.init()
        producerID = marker.producerID
        producerEpoch = marker.producerEpoch
        isCommit = marker.didCommit
        coordinatorEpoch = marker.coordinatorEpoch
        order = marker.order.map {
            .init(attempt: $0.attempt, leaderEpoch: ($0.leaderEpoch ?? .none).rawValue)
        }
    }
}

extension TransactionError {
    /// The error that another member's coordinator answered with.
    fileprivate init(_ code: ErrorCode) {
        self =
            switch code {
            case .invalidProducerIDMapping: .invalidProducerIDMapping
            case .producerFenced: .producerFenced
            case .invalidProducerEpoch: .invalidProducerEpoch
            case .concurrentTransactions: .concurrentTransactions
            case .invalidTransactionState: .invalidTransactionState
            case .transactionAbortable: .transactionAbortable
            case .notCoordinator: .notCoordinator
            default: .coordinatorNotAvailable(reason: "another member answered \(code)")
            }
    }
}
