import Tally
import TallyWire

extension Broker {
    /// Appends batches as they came, and answers when the acknowledgement that was asked for is
    /// reached: 1 when the log has them, -1 when they are what the topic's durability promises,
    /// 0 never.
    func produce(_ request: ProduceRequest, _ context: Context) async -> ProduceResponse? {
        var response = ProduceResponse()
        let isKnown = (-1...1).contains(request.acks)
        for topic in request.topics {
            var answer = ProduceResponse.Topic()
            answer.name = topic.name
            for partition in topic.partitions {
                guard isKnown else {
                    var refused = ProduceResponse.Partition()
                    refused.index = partition.index
                    refused.errorCode = .invalidRequiredAcks
                    answer.partitions.append(refused)
                    continue
                }
                answer.partitions.append(
                    await append(
                        partition, to: topic.name, in: request.transactionalID))
            }
            response.responses.append(answer)
        }
        await finish(&response, acks: request.acks)
        return request.acks == 0 ? nil : response
    }

    private func append(
        _ partition: ProduceRequest.Partition, to topic: String, in transactionalID: String?
    ) async -> ProduceResponse.Partition {
        var answer = ProduceResponse.Partition()
        answer.index = partition.index
        answer.baseOffset = -1
        do {
            let found = try engine.partition(partition.index, of: topic)
            let result = try await append(
                Array(partition.records ?? []), to: found, in: transactionalID)
            answer.baseOffset = result.baseOffset.rawValue
            answer.logAppendTimeMilliseconds = result.logAppendTime?.rawValue ?? -1
            answer.logStartOffset = try found.log.logStart.rawValue
        } catch {
            answer.errorCode = ErrorCode(error)
            answer.errorMessage = "\(error)"
        }
        return answer
    }

    private func append(
        _ records: [UInt8], to partition: Partition, in transactionalID: String?
    ) async throws -> AppendResult {
        let log = try partition.log
        let header: RecordBatchHeader
        do {
            header = try RecordBatchHeader(decoding: records.rawSpan, at: 0)
        } catch {
            throw LogError.invalidBatch(error)
        }
        let isTransactional = header.attributes.isTransactional
        // Asked again where another transaction ended between the answer and the append.
        while true {
            var verification: TransactionStanding?
            if isTransactional {
                verification = try await verify(header, in: transactionalID, partition)
            }
            do {
                let standing = verification
                var batches = records
                return try batches.withMutableRawSpan { batches in
                    try log.append(
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
        _ header: RecordBatchHeader, in transactionalID: String?, _ partition: Partition
    ) async throws -> TransactionStanding? {
        let log = try partition.log
        let standing = try log.transactionStanding(of: header.producerID)
        guard !standing.isOpen else { return nil }
        guard let transactionalID else { throw TransactionError.invalidTransactionState }
        let id = TopicPartition(topic: partition.topic, partition: partition.index)
        let producer = ProducerIdentity(id: header.producerID, epoch: header.producerEpoch)
        try await engine.transactions.ask {
            (coordinator, _) throws(TransactionError) in
            try coordinator.verify(id, in: transactionalID, producer: producer)
        }
        return standing
    }

    /// Waits for what was promised, in all partitions at once.
    private func finish(_ response: inout ProduceResponse, acks: Int16) async {
        for topic in response.responses.indices {
            let name = response.responses[topic].name
            let written = response.responses[topic].partitions.filter { $0.errorCode == .none }
            let flushes = written.compactMap { answer -> PartitionLog? in
                guard let log = try? engine.partition(answer.index, of: name).log,
                    log.durability == .synced
                else { return nil }
                return log
            }
            guard !flushes.isEmpty else { continue }
            guard acks == -1 else {
                // Nobody waits for it, and consumers see what is synced.
                for log in flushes { syncs.request(log) }
                continue
            }
            let failures = await flush(flushes)
            guard !failures.isEmpty else { continue }
            for index in response.responses[topic].partitions.indices {
                let partition = response.responses[topic].partitions[index]
                guard let error = failures["\(name)-\(partition.index)"] else { continue }
                response.responses[topic].partitions[index].errorCode = ErrorCode(error)
                response.responses[topic].partitions[index].errorMessage = "\(error)"
                response.responses[topic].partitions[index].baseOffset = -1
            }
        }
    }

    /// Syncs logs; by name those that could not be, with the reasons.
    private func flush(_ logs: [PartitionLog]) async -> [String: any Error] {
        if logs.count == 1 {
            let log = logs[0]
            do {
                try log.flush()
                return [:]
            } catch {
                return [log.name: error]
            }
        }
        return await withTaskGroup(of: (String, (any Error)?).self) { group in
            for log in logs {
                group.addTask {
                    do {
                        try log.flush()
                        return (log.name, nil)
                    } catch {
                        return (log.name, error)
                    }
                }
            }
            var failures: [String: any Error] = [:]
            for await (name, error) in group { failures[name] = error }
            return failures
        }
    }
}
