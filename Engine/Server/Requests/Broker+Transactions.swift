import Tally
import TallyWire

extension Broker {
    /// A producer id, new or for a transactional id.
    func initProducerID(_ request: InitProducerIDRequest, _ context: Context) async
        -> InitProducerIDResponse?
    {
        var response = InitProducerIDResponse()
        response.producerEpoch = -1
        let expected =
            request.producerID >= 0
            ? ProducerIdentity(id: request.producerID, epoch: request.producerEpoch) : nil
        do {
            let producer = try await engine.transactions.ask(about: request.transactionalID) {
                (coordinator, now) throws(TransactionError) in
                guard let id = request.transactionalID else {
                    return try coordinator.newProducer()
                }
                return try coordinator.initProducerID(
                    id, timeoutMilliseconds: request.transactionTimeoutMilliseconds,
                    expected: expected, now: now)
            }
            response.producerID = producer.id
            response.producerEpoch = producer.epoch
        } catch {
            response.errorCode = code(of: error, isKnown: context.version >= 4)
        }
        return response
    }

    /// Older clients know only the older name of PRODUCER_FENCED.
    private func code(of error: any Error, isKnown: Bool) -> ErrorCode {
        let code = ErrorCode(error)
        return code == .producerFenced && !isKnown ? .invalidProducerEpoch : code
    }

    /// Partitions take part in a transaction.
    func addPartitions(
        _ request: AddPartitionsToTransactionRequest, _ context: Context
    ) async -> AddPartitionsToTransactionResponse? {
        var response = AddPartitionsToTransactionResponse()
        guard context.version >= 4 else {
            let code = await add(
                request.topics, to: request.transactionalID,
                ProducerIdentity(id: request.producerID, epoch: request.producerEpoch),
                context, verifyOnly: false)
            response.topicResults = results(request.topics, code)
            return response
        }
        for transaction in request.transactions {
            var result = AddPartitionsToTransactionResponse.TransactionResult()
            result.transactionalID = transaction.transactionalID
            let code = await add(
                transaction.topics, to: transaction.transactionalID,
                ProducerIdentity(id: transaction.producerID, epoch: transaction.producerEpoch),
                context, verifyOnly: transaction.verifyOnly)
            result.topicResults = results(transaction.topics, code)
            response.transactionResults.append(result)
        }
        return response
    }

    /// Which partitions of a request are not there; all of it fails then.
    private func add(
        _ topics: [AddPartitionsToTransactionRequest.Topic], to transactionalID: String,
        _ producer: ProducerIdentity, _ context: Context, verifyOnly: Bool
    ) async -> (TopicPartition) -> ErrorCode {
        let ids = topics.flatMap { topic in
            topic.partitions.map { TopicPartition(topic: topic.name, partition: $0) }
        }
        let missing = Set(
            ids.filter { (try? engine.partition($0.partition, of: $0.topic)) == nil })
        guard missing.isEmpty else {
            return { missing.contains($0) ? .unknownTopicOrPartition : .operationNotAttempted }
        }
        do {
            try await engine.transactions.ask(about: transactionalID) {
                (coordinator, now) throws(TransactionError) in
                guard verifyOnly else {
                    return try coordinator.addPartitions(
                        ids, to: transactionalID, producer: producer, now: now)
                }
                for id in ids {
                    try coordinator.verify(id, in: transactionalID, producer: producer)
                }
            }
            return { _ in .none }
        } catch {
            let code = code(of: error, isKnown: context.version >= 2)
            return { _ in code }
        }
    }

    private func results(
        _ topics: [AddPartitionsToTransactionRequest.Topic], _ code: (TopicPartition) -> ErrorCode
    ) -> [AddPartitionsToTransactionResponse.TopicResult] {
        topics.map { topic in
            var answer = AddPartitionsToTransactionResponse.TopicResult()
            answer.name = topic.name
            answer.partitions = topic.partitions.map { partition in
                var result = AddPartitionsToTransactionResponse.PartitionResult()
                result.partitionIndex = partition
                result.partitionErrorCode = code(
                    TopicPartition(topic: topic.name, partition: partition))
                return result
            }
            return answer
        }
    }

    /// A group's offsets take part in a transaction.
    func addOffsets(
        _ request: AddOffsetsToTransactionRequest, _ context: Context
    ) async -> AddOffsetsToTransactionResponse? {
        var response = AddOffsetsToTransactionResponse()
        let producer = ProducerIdentity(id: request.producerID, epoch: request.producerEpoch)
        do {
            try await engine.transactions.ask(about: request.transactionalID) {
                (coordinator, now) throws(TransactionError) in
                try coordinator.addGroup(
                    request.groupID, to: request.transactionalID, producer: producer, now: now)
            }
        } catch {
            response.errorCode = code(of: error, isKnown: context.version >= 2)
        }
        return response
    }

    /// Offsets that count when the transaction commits.
    func transactionOffsetCommit(
        _ request: TransactionOffsetCommitRequest, _ context: Context
    ) async -> TransactionOffsetCommitResponse? {
        let commit = TallyGroups.OffsetCommitRequest(
            group: request.groupID,
            caller: GroupCaller(
                memberID: request.memberID, instanceID: request.groupInstanceID,
                generation: request.generationID),
            offsets: offsets(in: request.topics))
        let outcome = await outcome { try await self.commit(commit, request, context) }
        var response = TransactionOffsetCommitResponse()
        response.topics = request.topics.map { topic in
            results(topic.name, topic.partitions.map(\.partitionIndex), outcome)
        }
        return response
    }

    private func commit(
        _ commit: TallyGroups.OffsetCommitRequest, _ request: TransactionOffsetCommitRequest,
        _ context: Context
    ) async throws -> [TopicPartition: GroupError] {
        let producer = ProducerIdentity(id: request.producerID, epoch: request.producerEpoch)
        if let partition = engine.offsetsPartition(ofGroup: request.groupID) {
            return try await self.commit(commit, in: partition, request, producer, context)
        }
        if context.version >= 5 {
            // The second version of the protocol does not ask for the group to be added before.
            try await engine.transactions.ask { (coordinator, now) throws(TransactionError) in
                try coordinator.addGroup(
                    request.groupID, to: request.transactionalID, producer: producer, now: now)
            }
        }
        let transactions = engine.transactions
        let refusal = refusal(of: commit.offsets.keys)
        // In one step on the lane: offsets that come behind the end of their transaction would
        // never be ended.
        let outcome = try await engine.groups.ask {
            (coordinator, now) throws(GroupError)
                -> Result<[TopicPartition: GroupError], TransactionError> in
            if let error = refusal() { throw error }
            do throws(TransactionError) {
                try transactions.lookOnLane { (coordinator) throws(TransactionError) in
                    try coordinator.verify(
                        group: request.groupID, in: request.transactionalID, producer: producer)
                }
            } catch {
                return .failure(error)
            }
            return .success(
                try coordinator.commitInTransaction(
                    commit, producerID: producer.id, producerEpoch: producer.epoch, at: now))
        }
        return try outcome.get()
    }

    /// The same where groups are recorded: the partition of the group takes part, as any other, and
    /// the coordinator of the transaction may be another member.
    private func commit(
        _ commit: TallyGroups.OffsetCommitRequest, in partition: TopicPartition,
        _ request: TransactionOffsetCommitRequest, _ producer: ProducerIdentity, _ context: Context
    ) async throws -> [TopicPartition: GroupError] {
        let refusal = refusal(of: commit.offsets.keys)
        // Asked again where another transaction ended between the answer and the append.
        while true {
            let standing = try engine.transactionStanding(of: producer, in: partition)
            if !standing.isOpen {
                try await takePart(partition, in: request, producer, context)
            }
            let result = await append(commit, producer, standing, unless: refusal)
            guard result == .failure(.concurrentTransactions),
                try engine.transactionStanding(of: producer, in: partition) != standing
            else { return try result.get() }
        }
    }

    private func append(
        _ commit: TallyGroups.OffsetCommitRequest, _ producer: ProducerIdentity,
        _ standing: TransactionStanding, unless refusal: @escaping GroupService.Refusal
    ) async -> Result<[TopicPartition: GroupError], GroupError> {
        do {
            return .success(
                try await engine.groups.commitInTransaction(
                    commit, producer: producer, verification: standing, unless: refusal))
        } catch {
            return .failure(error)
        }
    }

    /// The second version of the protocol does not ask for the group to be added before; of the
    /// first, clients know no other word for a group that was not.
    private func takePart(
        _ partition: TopicPartition, in request: TransactionOffsetCommitRequest,
        _ producer: ProducerIdentity, _ context: Context
    ) async throws(TransactionError) {
        do throws(TransactionError) {
            try await engine.transactions.participate(
                partition, in: request.transactionalID, producer: producer,
                verifyOnly: context.version < 5)
        } catch {
            throw error == .transactionAbortable ? .invalidTransactionState : error
        }
    }

    /// A transaction is committed or aborted. Clients of the first version of the protocol keep
    /// their epoch; from version 5 on the answer says the next one.
    func endTransaction(_ request: EndTransactionRequest, _ context: Context) async
        -> EndTransactionResponse?
    {
        var response = EndTransactionResponse()
        let producer = ProducerIdentity(id: request.producerID, epoch: request.producerEpoch)
        do {
            if request.isCommit { try await syncRecords(of: request.transactionalID) }
            let next = try await engine.transactions.end(
                request.transactionalID, producer: producer,
                request.isCommit ? .commit : .abort, keepsEpoch: context.version < 5,
                timeout: .seconds(30))
            if context.version >= 5 {
                response.producerID = next.id
                response.producerEpoch = next.epoch
            }
        } catch {
            response.errorCode = code(of: error, isKnown: context.version >= 2)
        }
        return response
    }

    /// A decision must not outlive the records that it is about: they are synced first, whatever
    /// their topics promise.
    private func syncRecords(of transactionalID: String) async throws {
        let record = try? await engine.transactions.ask {
            (coordinator, _) throws(TransactionError) in try coordinator.describe(transactionalID)
        }
        for id in record?.partitions ?? [] {
            guard let log = try? engine.partition(id.partition, of: id.topic).log else { continue }
            try log.flush()
        }
    }

    // MARK: Looking

    /// Transactional ids and what they do.
    func describeTransactions(
        _ request: DescribeTransactionsRequest, _ context: Context
    ) async -> DescribeTransactionsResponse? {
        var response = DescribeTransactionsResponse()
        for id in request.transactionalIDs.unique() {
            var answer = DescribeTransactionsResponse.Transaction()
            answer.transactionalID = id
            answer.producerID = -1
            answer.producerEpoch = -1
            do {
                let record = try await engine.transactions.ask(about: id) {
                    (coordinator, _) throws(TransactionError) in try coordinator.describe(id)
                }
                answer.transactionState = record.state.rawValue
                answer.transactionTimeoutMilliseconds = record.timeoutMilliseconds
                answer.transactionStartTimeMilliseconds = record.startedAt?.rawValue ?? -1
                answer.producerID = record.producer.id
                answer.producerEpoch = record.producer.epoch
                let byTopic = Dictionary(grouping: record.partitions, by: \.topic)
                answer.topics = byTopic.sorted { $0.key < $1.key }.map { name, partitions in
                    var topic = DescribeTransactionsResponse.Topic()
                    topic.name = name
                    topic.partitions = partitions.map(\.partition).sorted()
                    return topic
                }
            } catch {
                answer.errorCode = ErrorCode(error)
            }
            response.transactionStates.append(answer)
        }
        return response
    }

    /// The transactional ids there are.
    func listTransactions(_ request: ListTransactionsRequest, _ context: Context) async
        -> ListTransactionsResponse?
    {
        var response = ListTransactionsResponse()
        let states = Set(request.stateFilters.compactMap { TransactionState(rawValue: $0) })
        response.unknownStateFilters = request.stateFilters.filter {
            TransactionState(rawValue: $0) == nil
        }
        // States that nobody knows match nothing.
        guard request.stateFilters.isEmpty || !states.isEmpty else { return response }
        let longer =
            context.version >= 1 && request.durationFilterMilliseconds >= 0
            ? request.durationFilterMilliseconds : nil
        do {
            let records = try await engine.transactions.ask { coordinator, now in
                coordinator.list(
                    states: states, producerIDs: Set(request.producerIDFilters),
                    longerThanMilliseconds: longer, now: now)
            }
            response.transactionStates = records.map { record in
                var answer = ListTransactionsResponse.Transaction()
                answer.transactionalID = record.transactionalID
                answer.producerID = record.producer.id
                answer.transactionState = record.state.rawValue
                return answer
            }
        } catch {
            response.errorCode = ErrorCode(error)
        }
        return response
    }

    /// What partitions know of their producers.
    func describeProducers(_ request: DescribeProducersRequest, _ context: Context) async
        -> DescribeProducersResponse?
    {
        var response = DescribeProducersResponse()
        // Each once: a partition may know many producers, and a request name it many times.
        var seen: Set<TopicPartition> = []
        for topic in request.topics {
            var answer = DescribeProducersResponse.Topic()
            answer.name = topic.name
            for index in topic.partitions
            where seen.insert(TopicPartition(topic: topic.name, partition: index)).inserted {
                var partition = DescribeProducersResponse.Partition()
                partition.partitionIndex = index
                do {
                    let log = try engine.partition(index, of: topic.name).log
                    let states = try log.producerStates()
                    partition.activeProducers = states.map(Self.producer)
                } catch {
                    partition.errorCode = ErrorCode(error)
                    partition.errorMessage = "\(error)"
                }
                answer.partitions.append(partition)
            }
            response.topics.append(answer)
        }
        return response
    }

    private static func producer(_ state: ProducerState) -> DescribeProducersResponse.Producer {
        var producer = DescribeProducersResponse.Producer()
        producer.producerID = state.producerID
        producer.producerEpoch = Int32(state.epoch)
        producer.lastSequence = state.lastSequence
        producer.lastTimestamp = state.lastTimestamp.rawValue
        producer.coordinatorEpoch = state.coordinatorEpoch
        producer.currentTransactionStartOffset = state.transactionStart?.rawValue ?? -1
        return producer
    }
}
