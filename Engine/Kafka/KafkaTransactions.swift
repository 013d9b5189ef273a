import Synchronization
import Tally
import TallyClient
import TallyGroups
import TallyRecords
import TallyTransactions
import TallyWire

/// The transactions of one transactional id, by the first version of the protocol (KIP-98, KIP-360,
/// KIP-447), whatever the brokers offer: all that have transactions know it. The second (KIP-890)
/// wants a feature of the cluster that is not everywhere, and spares a request for each partition.
///
/// It has connections of its own: a broker answers the requests of one in their order, and what
/// waits for records to read must not hold up a commit. Thread rule: any task.
final class KafkaTransactions: RemoteTransactions {
    private let transactionalID: String
    private let client: ClusterClient
    private let state = Mutex(State())

    private struct State {
        /// Who coordinates, as long as nothing speaks against it.
        var coordinators: [ClusterClient.Coordinated: BrokerAddress] = [:]
        /// Who has begun a transaction, perhaps, that has not ended yet.
        var writer: ProducerIdentity?
        var isClosed = false
    }

    init(
        of transactionalID: String, bootstrap: [BrokerAddress],
        _ configuration: ClientConfiguration
    ) {
        self.transactionalID = transactionalID
        client = ClusterClient(bootstrap: bootstrap, configuration: configuration)
    }

    var limitMilliseconds: Int64 { client.configuration.totalMilliseconds }

    // MARK: Requests

    func initProducer(
        timeoutMilliseconds: Int32, current: ProducerIdentity?
    ) async throws(RemoteTransactionFailure) -> ProducerIdentity {
        var request = InitProducerIDRequest()
        request.transactionalID = transactionalID
        request.transactionTimeoutMilliseconds = timeoutMilliseconds
        if let current {
            request.producerID = current.id
            request.producerEpoch = current.epoch
        }
        let answer = try await ask(coordinator, request) { $0.errorCode }
        return ProducerIdentity(id: answer.producerID, epoch: answer.producerEpoch)
    }

    func addPartitions(
        _ partitions: [TopicPartition], _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure) {
        noteWriter(producer)
        var request = AddPartitionsToTransactionRequest()
        request.transactionalID = transactionalID
        request.producerID = producer.id
        request.producerEpoch = producer.epoch
        request.topics = Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }
            .map { name, partitions in
                var topic = AddPartitionsToTransactionRequest.Topic()
                topic.name = name
                topic.partitions = partitions.map(\.partition)
                return topic
            }
        // Later versions are for brokers among each other.
        _ = try await ask(coordinator, request, atMost: 3) { answer in
            let codes = answer.topicResults.flatMap(\.partitions).map(\.partitionErrorCode)
            // OPERATION_NOT_ATTEMPTED says that another partition is why.
            return codes.first { $0 != .none && $0 != .operationNotAttempted }
                ?? codes.first { $0 != .none } ?? .none
        }
    }

    func addGroup(
        _ group: String, _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure) {
        noteWriter(producer)
        var request = AddOffsetsToTransactionRequest()
        request.transactionalID = transactionalID
        request.producerID = producer.id
        request.producerEpoch = producer.epoch
        request.groupID = group
        _ = try await ask(coordinator, request) { $0.errorCode }
    }

    func commitOffsets(
        _ request: TallyGroups.OffsetCommitRequest, _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure) -> [TopicPartition: GroupError] {
        let coordinator = ClusterClient.Coordinated.group(request.group)
        var wire = TransactionOffsetCommitRequest()
        wire.transactionalID = transactionalID
        wire.groupID = request.group
        wire.producerID = producer.id
        wire.producerEpoch = producer.epoch
        // Before version 3 the group could not look at who commits (KIP-447).
        let connection = try await connect(to: coordinator)
        let version = try? connection.versions.version(of: TransactionOffsetCommitRequest.self)
        if version ?? 0 >= 3 {
            wire.generationID = request.caller.generation
            wire.memberID = request.caller.memberID
            wire.groupInstanceID = request.caller.instanceID
        }
        wire.topics = TransactionOffsetCommitRequest.topics(of: request.offsets)
        // With version 5 the group takes part by this request: the second version of the protocol.
        let answer = try await ask(coordinator, wire, atMost: 4) { answer in
            let codes = answer.topics.flatMap(\.partitions).map(\.errorCode)
            return codes.first { $0.isRetriable || TransactionError(of: $0) != nil } ?? .none
        }
        var refused: [TopicPartition: GroupError] = [:]
        for topic in answer.topics {
            for partition in topic.partitions where partition.errorCode != .none {
                let id = TopicPartition(topic: topic.name, partition: partition.partitionIndex)
                refused[id] = GroupError(
                    partition.errorCode, request.group, request.caller.memberID)
            }
        }
        return refused
    }

    func end(
        _ decision: TransactionDecision, _ producer: ProducerIdentity
    ) async throws(RemoteTransactionFailure) {
        var request = EndTransactionRequest()
        request.transactionalID = transactionalID
        request.producerID = producer.id
        request.producerEpoch = producer.epoch
        request.isCommit = decision == .commit
        // Version 5 gives a new epoch with each transaction: the second version of the protocol.
        _ = try await ask(coordinator, request, atMost: 4) { $0.errorCode }
        state.withLock { if $0.writer == producer { $0.writer = nil } }
    }

    func append(_ batch: RemoteBatch) async -> RemoteAppend {
        await KafkaCluster.append(batch, by: client)
    }

    // MARK: Asking

    private var coordinator: ClusterClient.Coordinated { .transactionalID(transactionalID) }

    private func noteWriter(_ producer: ProducerIdentity) {
        state.withLock { $0.writer = producer }
    }

    private func connect(
        to coordinator: ClusterClient.Coordinated
    ) async throws(RemoteTransactionFailure) -> BrokerConnection {
        do {
            if let known = state.withLock({ $0.coordinators[coordinator] }) {
                return try await client.connection(to: known)
            }
            let found = try await client.coordinator(of: coordinator)
            let connection = try await client.connection(to: found)
            state.withLock { $0.coordinators[coordinator] = found }
            return connection
        } catch {
            throw failure(error, of: coordinator, wasSent: false)
        }
    }

    private func ask<Request: WireRequest>(
        _ coordinator: ClusterClient.Coordinated, _ request: Request, atMost limit: Int16 = .max,
        problem: (Request.Response) -> ErrorCode
    ) async throws(RemoteTransactionFailure) -> Request.Response {
        let connection = try await connect(to: coordinator)
        let answer: Request.Response
        do {
            answer = try await connection.send(request, atMost: limit)
        } catch {
            throw failure(error, of: coordinator, wasSent: true)
        }
        let code = problem(answer)
        guard code == .none else {
            let error = ClientError.refused(
                request: Request.name, subject: "transactional id \(transactionalID)", code: code,
                message: nil)
            throw failure(error, of: coordinator, wasSent: true)
        }
        return answer
    }

    /// What an error means; where it may be that of a broker that does not coordinate any more,
    /// who does is asked anew.
    private func failure(
        _ error: any Error, of coordinator: ClusterClient.Coordinated, wasSent: Bool
    ) -> RemoteTransactionFailure {
        var failure = RemoteTransactionFailure(error, wasSent: wasSent)
        state.withLock { state in
            if state.isClosed { failure.isRetriable = false }
            if failure.error != .concurrentTransactions { state.coordinators[coordinator] = nil }
        }
        return failure
    }

    // MARK: Closing

    /// So long an open transaction is tried to be aborted; the cluster does it by itself when its
    /// time is over.
    private static let closingLimit = Duration.seconds(10)

    func close() async {
        let (wasClosed, writer) = state.withLock { state in
            defer { state.isClosed = true }
            return (state.isClosed, state.writer)
        }
        guard !wasClosed else { return }
        if let writer { await abort(writer) }
        await client.close()
    }

    /// Where it was committed or aborted already, by a request whose answer is lost, the
    /// coordinator refuses.
    private func abort(_ writer: ProducerIdentity) async {
        let client = client
        let limit = Task {
            guard (try? await Task.sleep(for: Self.closingLimit)) != nil else { return }
            // Whoever waits for an answer has it then.
            await client.close()
        }
        defer { limit.cancel() }
        let deadline = ContinuousClock.now + Self.closingLimit
        while ContinuousClock.now < deadline {
            do throws(RemoteTransactionFailure) {
                return try await end(.abort, writer)
            } catch {
                guard error.mayPass else { return }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }
}

extension TransactionOffsetCommitRequest {
    fileprivate static func topics(of offsets: [TopicPartition: OffsetToCommit]) -> [Topic] {
        Dictionary(grouping: offsets, by: \.key.topic).sorted { $0.key < $1.key }
            .map { name, offsets in
                var topic = Topic()
                topic.name = name
                topic.partitions = offsets.map { id, offset in
                    var partition = Partition()
                    partition.partitionIndex = id.partition
                    partition.committedOffset = offset.offset.rawValue
                    partition.committedLeaderEpoch = offset.leaderEpoch.rawValue
                    partition.committedMetadata = offset.metadata
                    return partition
                }
                return topic
            }
    }
}
