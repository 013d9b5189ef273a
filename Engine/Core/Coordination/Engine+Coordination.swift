import Synchronization
import TallyGroups
import TallyLog
package import TallyRecords
package import TallyTransactions

// What a member of a cluster is told of the partitions of the internal topics, and what it tells
// others; an engine that leads all of them tells itself when it is opened.

extension Engine {
    /// This engine leads a partition of an internal topic from now on: reads it to its end, makes
    /// the state of exactly its groups or transactional ids anew from it, and answers for them when
    /// all that was read is committed; until then they are told to ask again. Decisions of
    /// transactions that were not carried out everywhere are, again where need be.
    ///
    /// Does nothing where that epoch, or a newer one, is led already. Any task; takes as long as
    /// reading takes, and as the high watermark takes to reach what was read.
    ///
    /// - Parameter epoch: the leader epoch in which it leads.
    /// - Throws: where the partition cannot be read or understood. It stays unavailable then
    ///   (COORDINATOR_NOT_AVAILABLE with the reason), the others are not touched; calling again,
    ///   also with the same epoch, tries again.
    package func becomeCoordinator(of partition: TopicPartition, epoch: LeaderEpoch) async throws {
        guard coordination != nil, let topic = InternalTopic(rawValue: partition.topic) else {
            return
        }
        try await load([partition.partition], of: topic, isOpening: false) { _ in epoch }
    }

    /// This engine leads a partition of an internal topic no longer: its groups or transactional
    /// ids are forgotten in memory, whoever waits for them is told to ask another member, and so is
    /// whoever asks from now on. What the state has of them stays there until somebody leads it
    /// again, and says nothing meanwhile.
    ///
    /// - Parameter epoch: that of the leader that follows, so that a message which is late does
    ///   nothing; nil where it is not known. Any task.
    package func resignCoordinator(of partition: TopicPartition, epoch: LeaderEpoch?) async {
        switch InternalTopic(rawValue: partition.topic) {
        case .consumerOffsets: _ = await groups.resign(partition.partition, epoch: epoch)
        case .transactionState: _ = await transactions.resign(partition.partition, epoch: epoch)
        case nil: break
        }
    }

    /// Writes a transaction's marker in a partition that is led here, as a coordinator here or
    /// elsewhere wants it (WriteTxnMarkers); in `__consumer_offsets` it ends what is pending in the
    /// groups of the partition.
    ///
    /// - Returns: `done` when it is committed; `failed` where nobody knows, or the partition is not
    ///   led here; `refused` where a newer producer or coordinator has written. Any task.
    package func write(
        _ marker: TransactionMarker, to partition: TopicPartition
    ) async -> TransactionWorkOutcome {
        if coordination != nil, partition.topic == InternalTopic.consumerOffsets.rawValue {
            return await groups.write(marker, to: partition.partition)
        }
        do {
            let log = try self.partition(partition.partition, of: partition.topic).log
            let appended = try await workers.run {
                try log.checkAppend(forAll: true)
                let appended = try log.append(marker, now: .now)
                try log.flush(reaching: appended.nextOffset)
                return appended
            }
            try await log.committed(
                before: appended.nextOffset, in: appended.leaderEpoch,
                milliseconds: markerMilliseconds, limits: limits)
            return .done
        } catch EngineError.unknownTopic, EngineError.unknownPartition {
            // Deleted: nobody reads there.
            return .done
        } catch {
            return TransactionWorkOutcome(error)
        }
    }

    private var markerMilliseconds: Int64 {
        coordination?.configuration.commitTimeoutMilliseconds ?? 30_000
    }

    // MARK: Loading

    /// Leads everything, where there is nobody else; at the opening.
    func leadAllCoordinators() async throws {
        guard let coordination, coordination.configuration.leadsAll else { return }
        try await migrateState(coordination)
        for topic in InternalTopic.allCases {
            let all = Array(0..<coordination.partitionCount(of: topic))
            do {
                try await load(all, of: topic, isOpening: true) { [self] partition in
                    try? self.partition(partition, of: topic.rawValue).log.leaderEpoch
                }
            } catch {
                // It was said in the log, and is said to whoever asks; the others work.
            }
        }
    }

    /// Leads partitions, reads them and serves them. Throws the first error when all were tried.
    private func load(
        _ partitions: [Int32], of topic: InternalTopic, isOpening: Bool,
        epoch: @escaping @Sendable (Int32) -> LeaderEpoch?
    ) async throws {
        var loading: [CoordinatorLoading] = []
        for partition in partitions {
            let epoch = epoch(partition) ?? LeaderEpoch(0)
            let isNew =
                switch topic {
                case .consumerOffsets: await groups.lead(partition, epoch: epoch)
                case .transactionState: await transactions.lead(partition, epoch: epoch)
                }
            guard isNew else { continue }
            loading.append(
                CoordinatorLoading(
                    engine: self, topic: topic, partition: partition, epoch: epoch,
                    isOpening: isOpening))
        }
        let errors =
            switch topic {
            case .consumerOffsets: await serveGroups(loading)
            case .transactionState: await serveTransactions(loading)
            }
        if let first = errors.first { throw first }
    }

    /// Reads partitions in parallel, makes the state of all of them anew in one step, and serves
    /// them. Returns why some cannot be served.
    private func serveGroups(_ loading: [CoordinatorLoading]) async -> [any Error] {
        let (found, errors) = await read(loading) { try await $0.groups() }
        let partitions = Set(found.map(\.loading.partition))
        let count = groups.partitionCount ?? 1
        let store = stateOfEngine.offsets
        await coordination?.offsets.replace {
            try store.replaceGroups(
                where: { partitions.contains(InternalTopic.partition(of: $0, count: count)) },
                with: found.flatMap(\.content))
        }
        for (loading, content) in found {
            loading.noteLed()
            _ = await groups.serve(content, of: loading.partition, epoch: loading.epoch)
        }
        return errors
    }

    private func serveTransactions(_ loading: [CoordinatorLoading]) async -> [any Error] {
        var (found, errors) = await read(loading) { try await $0.transactions() }
        let partitions = Set(found.map(\.loading.partition))
        let count = partitionCount(of: .transactionState) ?? 1
        let store = stateOfEngine.transactions
        await coordination?.transactions.replace { [found] in
            try store.replaceTransactions(
                where: { partitions.contains(InternalTopic.partition(of: $0, count: count)) },
                with: found.flatMap(\.content))
        }
        let isRemote = configuration.transactions.areProducersRemote
        for (loading, content) in found {
            loading.noteLed()
            do {
                _ = try await transactions.serve(
                    content, of: loading.partition, epoch: loading.epoch,
                    earlierProducers: loading.isOpening && !isRemote ? .areGone : .mayBeAlive)
            } catch {
                await loading.fail(error)
                errors.append(error)
            }
        }
        return errors
    }

    /// Reads all that can be read; the others are told of and left unavailable.
    private func read<Content: Sendable>(
        _ loading: [CoordinatorLoading],
        _ body: @escaping @Sendable (CoordinatorLoading) async throws -> Content?
    ) async -> (
        found: [(loading: CoordinatorLoading, content: Content)], errors: [any Error]
    ) {
        await withTaskGroup(of: (CoordinatorLoading, Result<Content?, any Error>).self) { group in
            for loading in loading {
                group.addTask {
                    do {
                        return (loading, .success(try await body(loading)))
                    } catch {
                        await loading.fail(error)
                        return (loading, .failure(error))
                    }
                }
            }
            var found: [(loading: CoordinatorLoading, content: Content)] = []
            var errors: [any Error] = []
            for await (loading, result) in group {
                switch result {
                case .success(let content?): found.append((loading, content))
                case .success(nil): continue
                case .failure(let error): errors.append(error)
                }
            }
            return (found, errors)
        }
    }

    /// Reads partitions of `__transaction_state` again that did not take a decision, until they are
    /// served or led elsewhere.
    func reloadTransactions(_ failed: [Int32: CommitFailure]) {
        for partition in failed.keys {
            Task { [weak self] in
                var pause = Duration.milliseconds(200)
                while (try? await Task.sleep(for: pause)) != nil, let self {
                    guard let standing = await transactions.led(partition),
                        case .failed = standing.standing
                    else { return }
                    try? await becomeCoordinator(
                        of: TopicPartition(
                            topic: InternalTopic.transactionState.rawValue, partition: partition),
                        epoch: standing.epoch)
                    pause = min(pause * 2, .seconds(10))
                }
            }
        }
    }
}

extension PartitionLog {
    /// Whether what lies before an offset, and was there when an epoch was led, is committed by
    /// then; looks now and then, since the log may be taken from us meanwhile.
    func isCommitted(
        _ end: Offset, in epoch: LeaderEpoch, within limit: Duration
    ) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while committedEnd(in: epoch) ?? .zero < end {
            guard .now < deadline, stopReason == nil, leads(in: epoch) else { return false }
            try? await Task.sleep(for: .milliseconds(2))
            if Task.isCancelled { return false }
        }
        return true
    }
}
