import TallyClient
import TallyCluster
import TallyRecords
import TallyWire

// What clients ask coordinators, again until there is an answer.

extension ClusterClient {
    /// The member that answers for a group (0) or a transactional id (1).
    func coordinator(of key: String, keyType: Int8) async throws -> Int32 {
        var request = FindCoordinatorRequest()
        request.keyType = keyType
        request.coordinatorKeys = [key]
        let answer = try await ask(.any, request, about: key) {
            ($0.coordinators[0].errorCode, $0.coordinators[0].errorMessage)
        }
        return answer.coordinators[0].nodeID
    }

    private func askCoordinator<Request: WireRequest>(
        of key: String, keyType: Int8, _ request: Request, atMost limit: Int16 = .max,
        problem: @Sendable (Request.Response) -> ErrorCode
    ) async throws -> Request.Response {
        try await retrying {
            let member = try await self.coordinator(of: key, keyType: keyType)
            try await self.look()
            let connection = try await self.connect(.broker(member))
            let answer = try await connection.send(request, atMost: limit)
            let code = problem(answer)
            guard code == .none else {
                throw ClientError.refused(
                    request: "\(Request.self)", subject: key, code: code, message: nil)
            }
            return answer
        }
    }

    func commit(offset: Int64, of topic: String, in group: String) async throws {
        var partition = OffsetCommitRequest.Partition()
        partition.committedOffset = offset
        var wanted = OffsetCommitRequest.Topic()
        wanted.name = topic
        wanted.partitions = [partition]
        var request = OffsetCommitRequest()
        request.groupID = group
        request.topics = [wanted]
        _ = try await askCoordinator(of: group, keyType: 0, request, atMost: 8) {
            $0.topics[0].partitions[0].errorCode
        }
    }

    func committed(_ topic: String, in group: String) async throws -> Int64 {
        var wanted = OffsetFetchRequest.Topic()
        wanted.name = topic
        wanted.partitions = [0]
        var request = OffsetFetchRequest()
        request.groupID = group
        request.topics = [wanted]
        let answer = try await askCoordinator(of: group, keyType: 0, request, atMost: 7) {
            $0.errorCode == .none ? $0.topics[0].partitions[0].errorCode : $0.errorCode
        }
        return answer.topics[0].partitions[0].committedOffset
    }

    struct Producer {
        var id: Int64
        var epoch: Int16
    }

    func initProducer(_ transactionalID: String) async throws -> Producer {
        var request = InitProducerIDRequest()
        request.transactionalID = transactionalID
        request.transactionTimeoutMilliseconds = 60_000
        let answer = try await askCoordinator(of: transactionalID, keyType: 1, request) {
            $0.errorCode
        }
        return Producer(id: answer.producerID, epoch: answer.producerEpoch)
    }

    /// Asks the leader of partition 0 for a marker, as a coordinator does; how that went.
    func writeMarker(
        for producer: Producer, coordinatorEpoch: Int32, to topic: String,
        order: WriteTransactionMarkersRequest.Order
    ) async throws -> ErrorCode {
        var marker = WriteTransactionMarkersRequest.Marker()
        marker.producerID = producer.id
        marker.producerEpoch = producer.epoch
        marker.isCommit = true
        marker.coordinatorEpoch = coordinatorEpoch
        marker.order = order
        var wanted = WriteTransactionMarkersRequest.Topic()
        wanted.name = topic
        wanted.partitions = [0]
        marker.topics = [wanted]
        var request = WriteTransactionMarkersRequest()
        request.markers = [marker]
        try await look()
        let connection = try await connect(.broker(1))
        let answer = try await connection.send(request)
        return answer.markers[0].topics[0].partitions[0].errorCode
    }

    func addPartition(
        _ partition: Int32, of topic: String, to transactionalID: String, _ producer: Producer
    ) async throws {
        var wanted = AddPartitionsToTransactionRequest.Topic()
        wanted.name = topic
        wanted.partitions = [partition]
        var request = AddPartitionsToTransactionRequest()
        request.transactionalID = transactionalID
        request.producerID = producer.id
        request.producerEpoch = producer.epoch
        request.topics = [wanted]
        _ = try await askCoordinator(of: transactionalID, keyType: 1, request, atMost: 3) {
            $0.topicResults[0].partitions[0].partitionErrorCode
        }
    }

    func produce(
        _ value: String, to topic: String, _ partition: Int32, in transactionalID: String,
        _ producer: Producer, sequence: Int32 = 0
    ) async throws {
        var builder = try RecordBatchBuilder(codec: .none)
        let (key, value) = (Array("k".utf8), Array(value.utf8))
        try builder.append(key: key.rawSpan, value: value.rawSpan, timestamp: .now)
        var bytes: [UInt8] = []
        bytes.append(
            try builder.finish(
                producer: BatchProducer(
                    id: producer.id, epoch: producer.epoch, baseSequence: sequence),
                isTransactional: true))
        var records = ProduceRequest.Partition()
        records.index = partition
        records.records = bytes[...]
        var wanted = ProduceRequest.Topic()
        wanted.name = topic
        wanted.partitions = [records]
        var request = ProduceRequest()
        request.acks = -1
        request.timeoutMilliseconds = 5000
        request.transactionalID = transactionalID
        request.topics = [wanted]
        let place = TopicPartition(topic: topic, partition: partition)
        // The first version of the protocol: the next transaction asks for an epoch of its own.
        _ = try await ask(.leader(place), request, atMost: 11, about: "\(place)") {
            ($0.responses[0].partitions[0].errorCode, nil)
        }
    }

    func endTransaction(
        _ transactionalID: String, _ producer: Producer, isCommit: Bool
    ) async throws {
        var request = EndTransactionRequest()
        request.transactionalID = transactionalID
        request.producerID = producer.id
        request.producerEpoch = producer.epoch
        request.isCommit = isCommit
        _ = try await askCoordinator(of: transactionalID, keyType: 1, request, atMost: 4) {
            $0.errorCode
        }
    }
}
