package import TallyRecords
import TallyWire

extension ClusterClient {
    /// Who a producer is for the brokers: its number, and how often it was begun anew.
    package struct ProducerIdentity: Hashable, Sendable {
        /// The number.
        package var id: Int64
        /// The epoch.
        package var epoch: Int16

        /// An identity from its parts.
        package init(id: Int64, epoch: Int16) {
            self.id = id
            self.epoch = epoch
        }
    }

    /// Where a batch was appended.
    package struct AppendedBatch: Hashable, Sendable {
        /// The offset of its first record; nil where the broker does not know any more: it had the
        /// batch before.
        package var baseOffset: Offset?
        /// When, where the topic says that records have the time of their appending.
        package var logAppendTime: Timestamp?
        /// The first offset of the log; nil where the broker does not tell.
        package var logStart: Offset?
    }

    /// Draws a number for a producer whose batches are stored once, whatever happens to its
    /// requests.
    ///
    /// Throws ``ClientError``, and `CancellationError` where the task is cancelled.
    package func newProducer() async throws -> ProducerIdentity {
        var request = InitProducerIDRequest()
        request.transactionalID = nil
        request.transactionTimeoutMilliseconds = Int32.max
        let answer = try await ask(.any, request, about: "a producer") { ($0.errorCode, nil) }
        return ProducerIdentity(id: answer.producerID, epoch: answer.producerEpoch)
    }

    /// Appends a batch to a partition, at whoever leads it, with the acknowledgement of all
    /// in-sync replicas, and again until that is known: only for batches with sequence numbers,
    /// which the broker knows again.
    ///
    /// Throws ``ClientError``, and `CancellationError` where the task is cancelled: the batch may
    /// have been appended then.
    package func append(
        _ batch: [UInt8], to partition: TopicPartition
    ) async throws -> AppendedBatch {
        do {
            return try await retrying {
                try await tryAppend(
                    batch, to: partition, acks: -1,
                    timeoutMilliseconds: configuration.requestMilliseconds)
            }
        } catch let error as ClientError where error.code == .duplicateSequenceNumber {
            return AppendedBatch(baseOffset: nil)
        }
    }

    /// Tries once to append a batch to a partition.
    ///
    /// - Parameters:
    ///   - acks: as in the protocol: 0 none, 1 the leader's, -1 all in-sync replicas'. With 0
    ///     nothing is known of what becomes of it.
    ///   - timeout: how long the broker may take, and how much longer than
    ///     ``ClientConfiguration/requestMilliseconds`` its answer.
    ///   - transactionalID: whose transaction the batch is part of, in which the partition takes
    ///     part already; nil where it is part of none.
    /// Throws as ``append(_:to:)``.
    package func tryAppend(
        _ batch: [UInt8], to partition: TopicPartition, acks: Int16,
        timeoutMilliseconds timeout: Int64, transactionalID: String? = nil
    ) async throws -> AppendedBatch {
        let timeout = min(timeout, configuration.requestMilliseconds)
        let request = ProduceRequest(
            [(partition, batch)], acks: acks, timeoutMilliseconds: timeout,
            transactionalID: transactionalID)
        do {
            let connection = try await connect(.leader(partition))
            guard acks != 0 else {
                try connection.post(request)
                return AppendedBatch(baseOffset: nil)
            }
            let answer = try await connection.send(
                request, atMost: transactionalID == nil ? .max : Self.transactionalVersionMax)
            let result = answer.responses.first?.partitions.first
            guard let result, result.errorCode == .none else {
                throw ClientError.refused(
                    request: ProduceRequest.name, subject: "\(partition)",
                    code: result?.errorCode ?? .unknownServerError,
                    message: result?.errorMessage)
            }
            return AppendedBatch(result)
        } catch let error as ClientError {
            if error.isRetriable { doubt() }
            throw error
        }
    }
}

extension ClusterClient {
    /// With version 12 a partition takes part in a transaction by being written to: that is the
    /// second version of the protocol of transactions (KIP-890), and this client speaks the first.
    private static let transactionalVersionMax: Int16 = 11
}

extension ClusterClient.AppendedBatch {
    /// What an answer says of a partition without an error.
    init(_ result: ProduceResponse.Partition) {
        baseOffset = result.baseOffset >= 0 ? Offset(result.baseOffset) : nil
        let time = result.logAppendTimeMilliseconds
        logAppendTime = time >= 0 ? Timestamp(milliseconds: time) : nil
        logStart = result.logStartOffset >= 0 ? Offset(result.logStartOffset) : nil
    }
}

extension ProduceRequest {
    /// A batch for each of these partitions.
    ///
    /// - Parameter acks: as in the protocol: 0 none, 1 the leader's, -1 all in-sync replicas'.
    init(
        _ batches: [(partition: TopicPartition, bytes: [UInt8])], acks: Int16,
        timeoutMilliseconds: Int64, transactionalID: String? = nil
    ) {
        self.init()
        self.transactionalID = transactionalID
        self.acks = acks
        self.timeoutMilliseconds = Int32(clamping: timeoutMilliseconds)
        topics = Dictionary(grouping: batches, by: \.partition.topic).sorted { $0.key < $1.key }
            .map { name, batches in
                var topic = Topic()
                topic.name = name
                topic.partitions = batches.map { id, bytes in
                    var partition = Partition()
                    (partition.index, partition.records) = (id.partition, bytes[...])
                    return partition
                }
                return topic
            }
    }
}
