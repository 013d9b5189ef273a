import Synchronization
import TallyRecords

/// What a ``Producer`` does on a cluster: finds out what partitions there are, chooses one for each
/// record, and has its accumulator deliver it.
///
/// Thread rule: any thread and task; two sends of one task keep their order per partition.
final class RemoteProducer: Sendable {
    private let parts: RemoteParts
    private let state = Mutex(State())

    var configuration: ProducerConfiguration { parts.configuration }
    var account: ProducerAccount { parts.account }
    var reports: DeliveryReportQueue { parts.reports }
    /// Nil where the producer has no transactions.
    var transaction: RemoteTransaction? { parts.transaction }
    var cluster: any RemoteCluster { parts.cluster }

    private struct State {
        var topics: [String: Topic] = [:]
    }

    private enum Topic {
        /// Its partitions are being asked for; records wait for that, in their order.
        case asked(Task<Void, Never>, waiting: [WaitingRecord])
        case known(RemoteAccumulators)
    }

    /// A record whose topic's partitions are not known yet.
    private struct WaitingRecord: Sendable {
        var record: ProducerRecord
        var interest: ProducerBatch.Interest

        var byteCount: Int { (record.key?.count ?? 0) + (record.value?.count ?? 0) }
    }

    init(_ cluster: any RemoteCluster, _ configuration: ProducerConfiguration) {
        let account = ProducerAccount(
            byteCountMax: configuration.bufferBytesMax,
            isKeepingErrors: configuration.acknowledgements != .none)
        parts = RemoteParts(
            cluster: cluster, configuration: configuration, account: account,
            reports: DeliveryReportQueue(account: account),
            transaction: configuration.transactionalID.map {
                RemoteTransaction(cluster, of: $0, configuration)
            })
    }

    // MARK: Taking records

    /// Takes a record; `tell` is called once, now or later.
    func add(_ record: ProducerRecord, tell: @escaping ProducerBatch.Tell) {
        let isAwaited = configuration.acknowledgements != .none
        do {
            let partition = try add(
                topic: record.topic, partition: record.partition, key: record.key?.rawSpan,
                value: record.value?.rawSpan, timestamp: record.timestamp,
                headers: record.headers,
                interest: ProducerBatch.Interest(tell: isAwaited ? tell : nil))
            guard !isAwaited else { return }
            tell(
                .success(
                    RecordMetadata(
                        topic: record.topic, partition: partition ?? -1, offset: Offset(-1),
                        timestamp: record.timestamp ?? .now)))
        } catch {
            tell(.failure(error))
        }
    }

    /// Takes a record. Returns its partition; nil where that is not known yet.
    @discardableResult
    func add(
        topic: String, partition: Int32?, key: RawSpan?, value: RawSpan?, timestamp: Timestamp?,
        headers: [RecordHeader], interest: ProducerBatch.Interest
    ) throws -> Int32? {
        if let known = known(topic) {
            return try add(
                to: known, partition, key, value, timestamp ?? .now, headers, interest)
        }
        let record = ProducerRecord(
            topic: topic, partition: partition, key: RecordView.copy(key),
            value: RecordView.copy(value), timestamp: timestamp ?? .now,
            headers: headers)
        let waiting = WaitingRecord(record: record, interest: interest)
        let became = try state.withLock { state -> RemoteAccumulators? in
            // Under the lock that the flush of a transaction's end takes after it has begun.
            try transaction?.state.requireOpen()
            switch state.topics[topic] {
            case .known(let accumulators): return accumulators
            case .asked(let task, var records):
                records.append(waiting)
                state.topics[topic] = .asked(task, waiting: records)
            case nil:
                let task = Task { await ask(about: topic) }
                state.topics[topic] = .asked(task, waiting: [waiting])
            }
            account.add(waiting.byteCount)
            return nil
        }
        guard let became else { return nil }
        return try add(to: became, partition, key, value, timestamp ?? .now, headers, interest)
    }

    private func known(_ topic: String) -> RemoteAccumulators? {
        let known = state.withLock { state -> RemoteAccumulators? in
            if case .known(let accumulators) = state.topics[topic] { accumulators } else { nil }
        }
        if let known, known.isDueForRenewal { Task { await renew(topic, known) } }
        return known
    }

    /// A topic may have more partitions by now.
    private func renew(_ topic: String, _ old: RemoteAccumulators) async {
        let found = try? await parts.cluster.describeTopic(topic).partitionCount
        let count = max(found ?? 0, old.accumulators.count)
        let new = RemoteAccumulators(topic, count: count, parts, keeping: old.accumulators)
        state.withLock { state in
            guard case .known(let current) = state.topics[topic], current === old else { return }
            state.topics[topic] = .known(new)
        }
    }

    private func add(
        to topic: RemoteAccumulators, _ partition: Int32?, _ key: RawSpan?, _ value: RawSpan?,
        _ timestamp: Timestamp, _ headers: [RecordHeader], _ interest: ProducerBatch.Interest,
        isTaken: Bool = false
    ) throws -> Int32 {
        let chosen = try topic.choosePartition(explicit: partition, key: key, value: value)
        let accumulator = topic.accumulators[Int(chosen)]
        let opened = try accumulator.add(
            key: key, value: value, timestamp: timestamp, headers: headers, interest: interest,
            isTaken: isTaken)
        guard let opened else { return chosen }
        guard configuration.lingerMilliseconds > 0 else {
            accumulator.deliverIfIdle()
            return chosen
        }
        let linger = Duration.milliseconds(configuration.lingerMilliseconds)
        opened.linger(
            Task {
                try? await Task.sleep(for: linger)
                accumulator.deliver(opened)
            })
        return chosen
    }

    // MARK: Partitions

    private func ask(about topic: String) async {
        let found: Result<RemoteAccumulators, any Error>
        do {
            let count = try await parts.cluster.describeTopic(topic).partitionCount
            found = .success(RemoteAccumulators(topic, count: count, parts))
        } catch {
            found = .failure(error)
        }
        // Those that waited go first; who comes meanwhile waits behind them.
        while let records = takeWaiting(of: topic, found) {
            for waiting in records {
                account.free(waiting.byteCount)
                do {
                    let record = waiting.record
                    _ = try add(
                        to: found.get(), record.partition, record.key?.rawSpan,
                        record.value?.rawSpan, record.timestamp ?? .now, record.headers,
                        waiting.interest, isTaken: true)
                } catch {
                    fail(waiting, error)
                }
            }
        }
    }

    /// Records that wait for a topic; nil when there is none any more, and what was found counts.
    private func takeWaiting(
        of topic: String, _ found: Result<RemoteAccumulators, any Error>
    ) -> [WaitingRecord]? {
        state.withLock { state in
            guard case .asked(let task, let records) = state.topics[topic], !records.isEmpty else {
                // Whoever sends to a topic that is not there asks anew.
                state.topics[topic] = (try? found.get()).map { .known($0) }
                return nil
            }
            state.topics[topic] = .asked(task, waiting: [])
            return records
        }
    }

    /// Tells of a record that never came to a partition as of any other.
    private func fail(_ waiting: WaitingRecord, _ error: any Error) {
        let record = waiting.record
        let id = TopicPartition(topic: record.topic, partition: record.partition ?? -1)
        guard
            let batch = try? ProducerBatch(
                for: id, codec: .none, capacity: waiting.byteCount,
                byteCountMax: RecordBatchBuilder.defaultByteCountMax),
            let byteCount = try? batch.append(
                key: record.key?.rawSpan, value: record.value?.rawSpan,
                timestamp: record.timestamp ?? .now, headers: record.headers,
                interest: waiting.interest)
        else {
            waiting.interest.tell?(.failure(error))
            return
        }
        account.add(byteCount)
        batch.round = account.open()
        let isReported = reports.add(batch, .failure(error))
        account.remove(batch, .failure(error), isReported: isReported)
        batch.complete(.failure(error))
    }

    // MARK: Delivering

    /// Has everything that was taken delivered.
    func deliverAll() {
        let known = state.withLock { state in
            state.topics.values.compactMap { topic -> RemoteAccumulators? in
                if case .known(let accumulators) = topic { accumulators } else { nil }
            }
        }
        for accumulator in known.flatMap(\.accumulators) { accumulator.deliver() }
    }

    /// Delivers everything that was taken; see ``Producer/flush()``.
    func flush() async throws {
        let asking = state.withLock { state in
            state.topics.values.compactMap { topic -> Task<Void, Never>? in
                if case .asked(let task, _) = topic { task } else { nil }
            }
        }
        for task in asking { await task.value }
        let round = account.endRound()
        deliverAll()
        await account.waitUntilDone(through: round)
        if let error = account.takeError() { throw error }
    }
}

/// The accumulators of one topic of a cluster, and the choice of a partition among them.
///
/// Thread rule: immutable; any thread.
final class RemoteAccumulators: Sendable {
    let accumulators: [RemoteAccumulator]
    private let topic: String
    private let choice: PartitionChoice
    private let madeAt = ContinuousClock.now
    private let isBeingRenewed = Atomic<Bool>(false)

    /// `metadata.max.age.ms`: after so long it is asked anew how many partitions there are.
    private static let ageMax = Duration.seconds(300)

    /// - Parameter kept: accumulators of the first partitions that are there already.
    init(
        _ topic: String, count: Int, _ parts: RemoteParts, keeping kept: [RemoteAccumulator] = []
    ) {
        self.topic = topic
        accumulators =
            kept
            + (Int32(kept.count)..<Int32(count)).map {
                RemoteAccumulator(TopicPartition(topic: topic, partition: $0), parts)
            }
        choice = PartitionChoice(count: Int32(count), parts.configuration)
    }

    /// True for one caller, once these have become old.
    var isDueForRenewal: Bool {
        guard ContinuousClock.now - madeAt > Self.ageMax else { return false }
        return !isBeingRenewed.exchange(true, ordering: .acquiringAndReleasing)
    }

    func choosePartition(
        explicit: Int32?, key: RawSpan?, value: RawSpan?
    ) throws(EngineError) -> Int32 {
        try choice.choose(of: topic, explicit: explicit, key: key, value: value)
    }
}
