import Metrics
import Synchronization
public import TallyGroups
public import TallyRecords

/// Positions up to which the application has come back for more.
struct ReturnedPositions: Sendable {
    private(set) var offsets: [TopicPartition: OffsetToCommit] = [:]
    private var committed: [TopicPartition: Offset] = [:]
    private var lastCommit = ContinuousClock.now

    /// Everything that was handed out until now is finished with.
    mutating func note(_ offsets: [TopicPartition: OffsetToCommit]) { self.offsets = offsets }

    /// What is not committed yet.
    var uncommitted: [TopicPartition: OffsetToCommit] {
        offsets.filter { committed[$0.key] != $0.value.offset }
    }

    /// Whether it is time for the next automatic commit.
    mutating func isDue(_ interval: Duration, at now: ContinuousClock.Instant) -> Bool {
        guard now - lastCommit >= interval else { return false }
        lastCommit = now
        return true
    }

    mutating func noteCommitted(_ done: [TopicPartition: OffsetToCommit]) {
        for (partition, offset) in done { committed[partition] = offset.offset }
    }
}

extension GroupConsumer {
    // MARK: Committing

    /// Commits the position behind these records: they need not be read again. Returns once that
    /// is on stable storage.
    ///
    /// A rebalance under way is waited for, where the partition stays. Throws
    /// ``EngineError/group(_:)``: `illegalGeneration`, `unknownMemberID` or `rebalanceInProgress`
    /// where the group has gone on without this member, `invalidRequest` where the partition is not
    /// its own any more, or its topic was deleted (``GroupError/isOvertaken`` is true of all of
    /// these); and where the store fails. Nothing was committed then.
    public func commit(_ records: ConsumedRecords) async throws {
        let partition = TopicPartition(topic: records.topic, partition: records.partition)
        try await commit(
            [
                partition: OffsetToCommit(
                    offset: records.nextOffset, leaderEpoch: records.leaderEpoch)
            ], topicID: records.topicID)
    }

    /// Commits the positions of all partitions: everything that was handed out until now. For the
    /// task that iterates; from another one it would also commit what that is still at.
    ///
    /// Throws as ``commit(_:)-(ConsumedRecords)``.
    public func commit() async throws {
        try await commit(offsetsToCommit)
    }

    /// Commits these offsets.
    ///
    /// Throws as ``commit(_:)-(ConsumedRecords)``; where only some were refused, the first error
    /// of these, and the others are committed.
    public func commit(_ offsets: [TopicPartition: OffsetToCommit]) async throws {
        try await commit(offsets, topicID: nil)
    }

    private func commit(
        _ offsets: [TopicPartition: OffsetToCommit], topicID: TopicID?
    ) async throws {
        // What was asked for before is not to be what stands in the end.
        await backgroundCommits.wait()
        try await commitNow(offsets, topicID: topicID).requireNone()
    }

    /// Commits offsets; what was refused, with the reasons.
    private func commitNow(
        _ offsets: [TopicPartition: OffsetToCommit], topicID: TopicID?
    ) async throws -> [TopicPartition: GroupError] {
        guard !offsets.isEmpty else { return [:] }
        if let remote { return try await commitNow(offsets, on: remote) }
        try engine.requireNotClosed()
        do {
            let refusal = refusal(of: Set(offsets.keys), topicID: topicID)
            let refused = try await asMember(offsets) { (request) throws(GroupError) in
                try await service.commit(request, unless: refusal)
            }
            if refused.count < offsets.count { commitCounter.increment() }
            return refused
        } catch {
            throw EngineError.group(error)
        }
    }

    /// Sends offsets as the member that this is. Where the group is between two generations, or
    /// the member has yet to hear of the newest, and the partitions stay its own, they are sent
    /// again: nobody else had them meanwhile.
    func asMember<Answer: Sendable>(
        _ offsets: [TopicPartition: OffsetToCommit],
        _ send: (OffsetCommitRequest) async throws(GroupError) -> Answer
    ) async throws(GroupError) -> Answer {
        var request = try membership.commitRequest(offsets)
        let memberID = request.caller.memberID
        let isOwnedStill = ownership(of: offsets.keys)
        let limit = ContinuousClock.now + .milliseconds(configuration.sessionTimeoutMilliseconds)
        while true {
            let refusal: GroupError
            do throws(GroupError) {
                return try await send(request)
            } catch {
                refusal = error
            }
            guard refusal.isPassing, !Task.isCancelled, ContinuousClock.now < limit else {
                throw refusal
            }
            try? await Task.sleep(for: .milliseconds(2))
            request = try membership.commitRequest(offsets)
            guard request.caller.memberID == memberID, isOwnedStill() else { throw refusal }
        }
    }

    /// Tells later whether partitions have stayed this member's all the time: what reads one is
    /// made when it is assigned, and gone when it is revoked.
    private func ownership(
        of partitions: Dictionary<TopicPartition, OffsetToCommit>.Keys
    ) -> () -> Bool {
        if let remote {
            let owned = partitions.map { remote.readers.number(of: $0) }
            return { zip(partitions, owned).allSatisfy { remote.readers.number(of: $0) == $1 } }
        }
        let owned = partitions.map { readers.first($0) }
        return { [readers] in zip(partitions, owned).allSatisfy { readers.first($0) === $1 } }
    }

    /// Everything that was handed out until now.
    var offsetsToCommit: [TopicPartition: OffsetToCommit] {
        remote?.readers.offsetsToCommit ?? readers.offsetsToCommit
    }

    /// Why offsets of these partitions cannot be committed, to be asked on the groups' lane: their
    /// topic was deleted since they were read, and what is committed for another of its name would
    /// pass over records of that one.
    ///
    /// - Parameter topicID: which topic was read; nil for those that are read now.
    func refusal(
        of partitions: Set<TopicPartition>, topicID: TopicID? = nil
    ) -> GroupService.Refusal {
        let read = readers.all.filter { partitions.contains($0.id) }.map(\.partition)
        return { [weak engine] in
            for partition in read {
                let now: Partition?
                do throws(EngineError) {
                    now = try engine?.partition(partition.index, of: partition.topic)
                } catch .unknownTopic, .unknownPartition {
                    now = nil
                } catch {
                    // Closed: the store says so.
                    continue
                }
                guard now !== partition || topicID ?? partition.topicID != partition.topicID
                else { continue }
                return .invalidRequest(
                    reason: "topic \(partition.topic) was deleted since these records were read")
            }
            return nil
        }
    }

    /// Commits these offsets without waiting (Kafka's `commitAsync`). What is asked for while a
    /// commit is on its way shares the next one, where the newest position of a partition counts;
    /// a commit that is waited for comes after all of these, and so does ``close()``. `done` is
    /// told, on some thread, in the order of asking; errors that nobody is told of are lost.
    public func commitInBackground(
        _ offsets: [TopicPartition: OffsetToCommit],
        done: (@Sendable (Result<Void, any Error>) -> Void)? = nil
    ) {
        backgroundCommits.add(offsets, done: done) { [self] offsets in
            try await commitNow(offsets, topicID: nil)
        }
    }

    /// What the group has committed of these partitions, or of all that are assigned. Partitions
    /// without an offset are missing.
    public func committed(
        _ partitions: Set<TopicPartition>? = nil
    ) async throws -> [TopicPartition: CommittedOffset] {
        let partitions = partitions ?? assignment
        if let remote { return try await remote.committedOffsets(ofGroup: group, partitions) }
        return try await engine.committedOffsets(ofGroup: group, partitions: partitions)
    }

    // MARK: Automatically

    func autoCommit(at now: ContinuousClock.Instant) async throws {
        let interval = Duration.milliseconds(configuration.autoCommitIntervalMilliseconds)
        guard returned.withLock({ $0.isDue(interval, at: now) }) else { return }
        try await commitReturned()
    }

    /// Commits what was handed out and returned for more. A rebalance that has overtaken it is no
    /// error: the records will be read again.
    func commitReturned() async throws {
        let owned = membership.identity.owned
        let offsets = returned.withLock { $0.uncommitted }.filter { owned.contains($0.key) }
        guard !offsets.isEmpty else { return }
        do {
            try await commit(offsets)
            returned.withLock { $0.noteCommitted(offsets) }
        } catch EngineError.group(let error) where error.isOvertaken {
        }
    }

    // MARK: Positions

    /// The offset each assigned partition is read from next.
    public var positions: [TopicPartition: Offset] {
        if let remote { return remote.readers.positions }
        var positions: [TopicPartition: Offset] = [:]
        for reader in readers.all { positions[reader.id] = reader.position }
        return positions
    }

    /// Records between the position and the high watermark, per assigned partition: an upper
    /// bound, since markers and compacted records count.
    public var lag: [TopicPartition: Int64] {
        if let remote { return remote.readers.lag }
        var lag: [TopicPartition: Int64] = [:]
        for reader in readers.all { lag[reader.id] = reader.lag }
        return lag
    }

    /// Goes on somewhere else in a partition. Nothing is committed by it.
    ///
    /// Throws ``EngineError/notAssigned(partition:group:)``, and ``LogError`` where a time cannot
    /// be looked up.
    public func seek(_ partition: TopicPartition, to target: StartingPosition) async throws {
        if let remote {
            return try requireRead(
                partition, try await remote.readers.seek(partition, to: target))
        }
        let reader = try reader(of: partition)
        try await engine.workers.run { try reader.seek(to: target) }
        readers.arrival.signal()
    }

    /// Passes partitions over until they are resumed. A rebalance that takes them resumes them.
    ///
    /// Throws ``EngineError/notAssigned(partition:group:)``.
    public func pause(_ partitions: Set<TopicPartition>) throws(EngineError) {
        try setPaused(true, partitions)
    }

    /// Reads partitions again that were paused. Throws as ``pause(_:)``.
    public func resume(_ partitions: Set<TopicPartition>) throws(EngineError) {
        try setPaused(false, partitions)
        readers.arrival.signal()
    }

    private func setPaused(
        _ isPaused: Bool, _ partitions: Set<TopicPartition>
    ) throws(EngineError) {
        for id in partitions {
            if let remote {
                try requireRead(id, remote.readers.setPaused(isPaused, id))
            } else {
                try reader(of: id).isPaused = isPaused
            }
        }
    }

    private func requireRead(_ id: TopicPartition, _ isRead: Bool) throws(EngineError) {
        guard isRead else { throw .notAssigned(partition: id.description, group: group) }
    }

    private func reader(of partition: TopicPartition) throws(EngineError) -> PartitionReader {
        guard let reader = readers.first(partition) else {
            throw .notAssigned(partition: partition.description, group: group)
        }
        return reader
    }
}

extension GroupError {
    /// The group is about to begin a generation, or has begun one that the member does not know.
    fileprivate var isPassing: Bool {
        switch self {
        case .illegalGeneration, .rebalanceInProgress: true
        default: false
        }
    }

    /// The group has gone on without the member: what it had is somebody else's, or will be shared
    /// out again. What was not committed is read again, by whoever has it then.
    public var isOvertaken: Bool {
        switch self {
        case .illegalGeneration, .unknownMemberID, .rebalanceInProgress, .invalidRequest: true
        default: false
        }
    }
}
