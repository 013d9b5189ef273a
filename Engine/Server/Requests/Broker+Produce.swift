import Tally
import TallyWire

extension Broker {
    /// Appends batches as they came, and answers when the acknowledgement that was asked for is
    /// reached: 1 when the log has them, -1 when they are what the topic's durability promises,
    /// 0 never; then an error ends the connection, as in Kafka, so that the client looks again.
    ///
    /// - Parameter bytes: the bytes of the frame: batches get their offsets there.
    func produce(
        _ frame: inout RequestFrame<ProduceRequest>, in bytes: inout [UInt8], _ context: Context
    ) async throws -> ProduceResponse? {
        let places = frame.body.letGoOfBatches()
        let request = frame.body
        var response = ProduceResponse()
        var unsynced: [Unsynced] = []
        let isKnown = (-1...1).contains(request.acks)
        for (index, topic) in request.topics.enumerated() {
            var answer = ProduceResponse.Topic()
            answer.name = topic.name
            for (wanted, place) in zip(topic.partitions, places[index]) {
                var partition = ProduceResponse.Partition()
                partition.index = wanted.index
                partition.baseOffset = -1
                do {
                    guard isKnown else { throw ClientRequestError.invalidRequiredAcks }
                    let made = try await append(
                        &bytes, place, to: topic.name, in: request, context, &partition)
                    if made.log.durability == .synced || made.log.isReplicated {
                        unsynced.append(
                            Unsynced(
                                topic: index, partition: answer.partitions.count, log: made.log,
                                end: made.end, epoch: made.epoch))
                    }
                } catch {
                    partition.errorCode = ErrorCode(error)
                    partition.errorMessage = "\(error)"
                }
                answer.partitions.append(partition)
            }
            response.responses.append(answer)
        }
        if request.acks == -1, !unsynced.isEmpty {
            // Not where connections are read.
            var failures = await withTaskExecutorPreference(engine.workers) { [unsynced] in
                await sync(unsynced)
            }
            if cluster != nil {
                failures += await waitForReplicas(
                    unsynced, except: failures.map(\.0),
                    milliseconds: Int64(max(request.timeoutMilliseconds, 0)))
            }
            for (place, error) in failures {
                var partition = response.responses[place.topic].partitions[place.partition]
                partition.errorCode = ErrorCode(error)
                partition.errorMessage = "\(error)"
                partition.baseOffset = -1
                response.responses[place.topic].partitions[place.partition] = partition
            }
        } else {
            // Where there are some, nobody waits for it, and consumers see what is synced.
            for place in unsynced where place.log.durability == .synced {
                syncs.request(place.log)
            }
        }
        guard request.acks == 0 else { return response }
        let failed = response.responses.flatMap(\.partitions).first { $0.errorCode != .none }
        guard let failed else { return nil }
        throw ClientRequestError.invalidRequest(
            "acks 0: \(failed.errorCode): \(failed.errorMessage ?? "")")
    }

    /// What was appended and has to be synced, and where the answer tells of it.
    private struct Unsynced: Sendable {
        var topic: Int
        var partition: Int
        var log: PartitionLog
        /// Behind its last record, and the epoch that has it.
        var end: Offset
        var epoch: LeaderEpoch
    }

    /// Waits until all replicas in sync have what was appended; returns where they have not.
    private func waitForReplicas(
        _ places: [Unsynced], except failed: [Unsynced], milliseconds: Int64
    ) async -> [(Unsynced, any Error)] {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        var failures: [(Unsynced, any Error)] = []
        for place in places where place.log.isReplicated {
            let isKnown = failed.contains {
                $0.topic == place.topic && $0.partition == place.partition
            }
            guard !isKnown else { continue }
            do {
                // One after the other: the last that is committed ends the wait for all.
                let left = (deadline - .now) / .milliseconds(1)
                try await place.log.committed(
                    before: place.end, in: place.epoch, milliseconds: Int64(max(left, 0)),
                    limits: engine.limits)
            } catch {
                failures.append((place, error))
            }
        }
        return failures
    }

    private func append(
        _ bytes: inout [UInt8], _ place: Range<Int>, to topic: String,
        in request: ProduceRequest, _ context: Context,
        _ answer: inout ProduceResponse.Partition
    ) async throws -> (log: PartitionLog, end: Offset, epoch: LeaderEpoch) {
        try engine.requireNotInternal(topic)
        let partition = try partition(answer.index, of: topic)
        let log = try partition.log
        try log.checkAppend(forAll: request.acks == -1)
        let result = try await append(
            &bytes, place, to: partition, log, in: request.transactionalID, context)
        answer.baseOffset = result.baseOffset.rawValue
        answer.logAppendTimeMilliseconds = result.logAppendTime?.rawValue ?? -1
        answer.logStartOffset = log.logStart.rawValue
        return (log, result.nextOffset, result.leaderEpoch)
    }

    private func append(
        _ bytes: inout [UInt8], _ place: Range<Int>, to partition: Partition, _ log: PartitionLog,
        in transactionalID: String?, _ context: Context
    ) async throws -> AppendResult {
        let header: RecordBatchHeader
        do {
            header = try RecordBatchHeader(
                decoding: bytes.rawSpan.extracting(place), at: 0)
        } catch {
            throw LogError.invalidBatch(error)
        }
        // Asked again where another transaction ended between the answer and the append.
        while true {
            var standing: TransactionStanding?
            if header.attributes.isTransactional {
                standing = try await verify(header, in: transactionalID, partition, log, context)
            }
            do {
                return try bytes.withMutableRawSpan { bytes in
                    var batches = bytes._mutatingExtracting(place)
                    return try log.append(
                        &batches, from: .outside, now: .now, verification: standing)
                }
            } catch LogError.producer(let refusal)
                where refusal.reason == .verificationOutdated
            {
                continue
            }
        }
    }

    /// Asks the coordinator whether the partition takes part in the transaction, before the first
    /// record of it (KIP-890): one that comes late must not begin a transaction that nobody ends.
    private func verify(
        _ header: RecordBatchHeader, in transactionalID: String?, _ partition: Partition,
        _ log: PartitionLog, _ context: Context
    ) async throws -> TransactionStanding {
        let standing = try log.transactionStanding(
            of: header.producerID, epoch: header.producerEpoch)
        guard !standing.isOpen else { return standing }
        guard let transactionalID else { throw TransactionError.invalidTransactionState }
        let id = TopicPartition(topic: partition.topic, partition: partition.index)
        let producer = ProducerIdentity(id: header.producerID, epoch: header.producerEpoch)
        do {
            try await engine.transactions.participate(
                id, in: transactionalID, producer: producer, verifyOnly: true)
        } catch .concurrentTransactions, .coordinatorNotAvailable, .notCoordinator,
            .coordinatorLoadInProgress
        {
            // Producers try again what they know from the answer to a write.
            throw ClientRequestError.notEnoughReplicas
        } catch .transactionAbortable where context.version < 11 {
            throw TransactionError.invalidTransactionState
        }
        return standing
    }

    /// Waits until all of it is on stable storage, in all logs at once; returns what is not.
    private func sync(_ places: [Unsynced]) async -> [(Unsynced, any Error)] {
        await withTaskGroup(of: (Unsynced, (any Error)?).self) { group in
            for place in places.dropFirst() {
                group.addTask { (place, Self.sync(place.log)) }
            }
            var failures: [(Unsynced, any Error)] = []
            // The first right here: mostly there is one.
            if let first = places.first, let error = Self.sync(first.log) {
                failures.append((first, error))
            }
            for await (place, error) in group { if let error { failures.append((place, error)) } }
            return failures
        }
    }

    private static func sync(_ log: PartitionLog) -> (any Error)? {
        guard log.durability == .synced else { return nil }
        do {
            try log.flush()
            return nil
        } catch {
            return error
        }
    }
}

extension ProduceRequest {
    /// Where in the frame the batches of each topic's partitions lie. The request has them no
    /// longer, so that whoever has the frame can change it where it is.
    fileprivate mutating func letGoOfBatches() -> [[Range<Int>]] {
        topics.indices.map { topic in
            topics[topic].partitions.indices.map { partition in
                guard let records = topics[topic].partitions[partition].records.take() else {
                    return 0..<0
                }
                return records.startIndex..<records.endIndex
            }
        }
    }
}
