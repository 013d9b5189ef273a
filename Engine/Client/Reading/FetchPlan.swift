package import TallyRecords
package import TallyWire

/// What a fetch brought, of each partition that was asked for.
struct FetchAnswer: Sendable {
    var partitions: [(TopicPartition, Result<FetchedPartition, ClientError>)] = []
}

/// One fetch: which partitions, and from where on. A value.
struct FetchPlan: Sendable {
    var positions: [(partition: TopicPartition, offset: Offset)]
    var view: ClusterView
    var configuration: LogReaderConfiguration

    /// The newest version that names topics, and not their ids.
    private static let lastVersionWithNames: Int16 = 12

    /// Throws ``ClientError``, and `CancellationError`.
    func run(on connection: BrokerConnection) async throws -> FetchAnswer {
        // With ids nobody reads another topic of the same name. Not all clusters have some.
        let hasIDs = positions.allSatisfy { topicID($0.partition.topic) != .zero }
        let answer = try await connection.send(
            request, atMost: hasIDs ? .max : Self.lastVersionWithNames,
            waitMilliseconds: Int64(configuration.waitMilliseconds))
        guard answer.errorCode == .none else {
            throw ClientError.refused(
                request: FetchRequest.name, subject: "\(positions.count) partitions",
                code: answer.errorCode, message: nil)
        }
        return try read(answer, from: connection.address)
    }

    private func topicID(_ name: String) -> WireUUID { view.topics[name]?.id ?? .zero }

    private var request: FetchRequest {
        var request = FetchRequest()
        request.maxWaitMilliseconds = configuration.waitMilliseconds
        request.minBytes = configuration.bytesMin
        request.maxBytes = configuration.bytesMax
        request.isolationLevel = configuration.isCommitted ? 1 : 0
        for (id, offset) in positions {
            var partition = FetchRequest.Partition()
            partition.partition = id.partition
            partition.fetchOffset = offset.rawValue
            partition.currentLeaderEpoch = view.leader(of: id)?.epoch.rawValue ?? -1
            partition.partitionMaxBytes = configuration.partitionBytesMax
            // One topic after the other in the order of its first partition, which has its turn.
            if let index = request.topics.firstIndex(where: { $0.topic == id.topic }) {
                request.topics[index].partitions.append(partition)
            } else {
                var topic = FetchRequest.Topic()
                topic.topic = id.topic
                topic.topicID = topicID(id.topic)
                topic.partitions = [partition]
                request.topics.append(topic)
            }
        }
        return request
    }

    private func read(
        _ answer: FetchResponse, from broker: BrokerAddress
    ) throws(ClientError) -> FetchAnswer {
        let offsets = Dictionary(
            positions.map { ($0.partition, $0.offset) }, uniquingKeysWith: { $1 })
        let names = Dictionary(
            positions.map { (topicID($0.partition.topic), $0.partition.topic) },
            uniquingKeysWith: { $1 })
        var found = FetchAnswer()
        for topic in answer.responses {
            let name = topic.topic.isEmpty ? names[topic.topicID] : topic.topic
            guard let name else { continue }
            for partition in topic.partitions {
                let id = TopicPartition(topic: name, partition: partition.partitionIndex)
                guard let offset = offsets[id] else { continue }
                guard partition.errorCode == .none else {
                    let error = ClientError.refused(
                        request: FetchRequest.name, subject: "\(id)", code: partition.errorCode,
                        message: nil)
                    found.partitions.append((id, .failure(error)))
                    continue
                }
                do throws(RecordError) {
                    let fetched = try FetchedPartition(partition, of: id, from: offset)
                    found.partitions.append((id, .success(fetched)))
                } catch {
                    throw .malformedAnswer(broker, reason: "Fetch of \(id) at \(offset): \(error)")
                }
            }
        }
        return found
    }
}

extension FetchedPartition {
    /// What an answer says of a partition. A batch that is cut off at the end of the answer is left
    /// out; the next fetch has it whole.
    ///
    /// - Throws: `RecordError` where what is there is no batch of version 2, or where no whole one
    ///   is there, or one that lies before what was asked for.
    package init(
        _ answer: FetchResponse.Partition, of partition: TopicPartition, from offset: Offset
    ) throws(RecordError) {
        let records = answer.records ?? []
        // Headers are decoded where they lie: the answer may be many megabytes.
        var end = records.startIndex
        var next = offset
        while records.endIndex - end >= RecordBatchHeader.byteCount {
            let head = Array(records[end..<end + RecordBatchHeader.byteCount])
            let header = try RecordBatchHeader(decoding: head.rawSpan)
            guard header.sizeInBytes <= records.endIndex - end else { break }
            guard header.lastOffset >= next else {
                throw RecordError(.badOffset(header.baseOffset.rawValue), position: end)
            }
            next = header.nextOffset
            end += header.sizeInBytes
        }
        guard end > records.startIndex || records.isEmpty else {
            throw RecordError(
                .truncated(needed: RecordBatchHeader.byteCount, available: records.count),
                position: 0)
        }
        self.partition = partition
        batches = records[..<end]
        nextOffset = next
        highWatermark = Offset(answer.highWatermark)
        lastStableOffset = answer.lastStableOffset >= 0 ? Offset(answer.lastStableOffset) : nil
        logStart = answer.logStartOffset >= 0 ? Offset(answer.logStartOffset) : nil
        abortedTransactions = (answer.abortedTransactions ?? []).map {
            AbortedTransaction(producerID: $0.producerID, firstOffset: Offset($0.firstOffset))
        }
    }
}
