public import TallyRecords

extension GroupCoordinator {
    // MARK: Committing and reading

    /// Commits offsets: all that can be, in one step; they are stored when this returns.
    ///
    /// - Returns: the partitions whose offsets were refused, with the reason.
    /// - Throws: where nothing was committed: `unknownMemberID`, `illegalGeneration`,
    ///   `fencedInstanceID`, `rebalanceInProgress`, and `coordinatorNotAvailable` where the store
    ///   fails.
    public mutating func commit(
        _ request: OffsetCommitRequest, at now: GroupTime
    ) throws(GroupError) -> [TopicPartition: GroupError] {
        try commit([request], at: now)[0].get()
    }

    /// Commits what several callers want committed, with one write to the store: as
    /// ``commit(_:at:)`` of one after the other, in this order, but that a store that fails fails
    /// all of them, and none was committed then. A request that is refused does not touch the
    /// others.
    ///
    /// - Returns: for each request what ``commit(_:at:)`` would return or throw.
    public mutating func commit(
        _ requests: [OffsetCommitRequest], at now: GroupTime
    ) -> [Result<[TopicPartition: GroupError], GroupError>] {
        var accepted: [String: [TopicPartition: CommittedOffset]] = [:]
        let results = requests.map { request in
            Result { () throws(GroupError) in
                let (offsets, refused) = try check(request, at: now)
                // Equal names need not be the same bytes, and the store goes by those.
                let id = groups[request.group]?.id ?? request.group
                accepted[id, default: [:]].merge(offsets) { $1 }
                return refused
            }
        }
        do throws(GroupError) {
            let changes = accepted.sorted { $0.key < $1.key }.compactMap { group, offsets in
                offsets.isEmpty ? nil : OffsetStoreChange.offsets(group: group, offsets)
            }
            if !changes.isEmpty { try write(changes) }
        } catch {
            // Nothing was stored, and nothing has changed in memory.
            return results.map { result in result.flatMap { _ in .failure(error) } }
        }
        for (id, offsets) in accepted {
            change(id, at: now) { group, _ in group.offsets.merge(offsets) { $1 } }
        }
        for (index, request) in requests.enumerated() {
            guard case .success = results[index] else { continue }
            change(request.group, at: now) { group, context in
                group.renewSession(of: request.caller.memberID, at: context.now)
            }
        }
        return results
    }

    /// What of a request can be committed; nothing changes but the number of the next commit.
    private mutating func check(
        _ request: OffsetCommitRequest, at now: GroupTime
    ) throws(GroupError) -> (
        accepted: [TopicPartition: CommittedOffset], refused: [TopicPartition: GroupError]
    ) {
        try requireCommittable(request)
        return try change(request.group, at: now) { (group, context) throws(GroupError) in
            try group.requireMayCommit(request.caller, isTransactional: false)
            return Group.check(request.offsets, in: &context)
        }
    }

    /// Commits offsets as a part of a producer's transaction: they become visible when it commits,
    /// and never if it aborts (``endTransaction(producerID:producerEpoch:isCommitted:at:)``).
    ///
    /// - Returns: the partitions whose offsets were refused, with the reason.
    /// - Throws: as ``commit(_:at:)``; `invalidProducerEpoch` for an epoch older than that of what
    ///   is pending, `concurrentTransactions` for a newer one.
    public mutating func commitInTransaction(
        _ request: OffsetCommitRequest, producerID: Int64, producerEpoch: Int16, at now: GroupTime
    ) throws(GroupError) -> [TopicPartition: GroupError] {
        try requireCommittable(request)
        return try change(request.group, at: now) { (group, context) throws(GroupError) in
            try group.commitPending(
                request, producerID: producerID, producerEpoch: producerEpoch, in: &context)
        }
    }

    private func requireCommittable(_ request: OffsetCommitRequest) throws(GroupError) {
        try requireGroupID(request.group)
        // Somebody who was a member once, of a group that is gone.
        guard groups[request.group] != nil || request.caller.generation < 0 else {
            throw .illegalGeneration(given: request.caller.generation, current: 0)
        }
    }

    /// A producer's transaction has ended: its offsets become visible in all groups, or go. Nothing
    /// happens where it has none; so it may be told again after a failure.
    ///
    /// - Throws: `invalidProducerEpoch` where the offsets are of a newer epoch,
    ///   `coordinatorNotAvailable` where the store fails. Nothing has changed then.
    public mutating func endTransaction(
        producerID: Int64, producerEpoch: Int16, isCommitted: Bool, at now: GroupTime
    ) throws(GroupError) {
        var changes: [OffsetStoreChange] = []
        var visible: [String: [TopicPartition: CommittedOffset]] = [:]
        for id in groups.keys.sorted() {
            guard let group = groups[id], let pending = group.pendingOffsets[producerID] else {
                continue
            }
            guard producerEpoch >= pending.producerEpoch else {
                throw .invalidProducerEpoch(given: producerEpoch, current: pending.producerEpoch)
            }
            visible[id] = isCommitted ? group.visibleOffsets(of: pending) : [:]
            if let offsets = visible[id], !offsets.isEmpty {
                changes.append(.offsets(group: id, offsets))
            }
            changes.append(.removePendingOffsets(group: id, producerID: producerID))
        }
        guard !changes.isEmpty else { return }
        try write(changes)
        for (id, offsets) in visible {
            _ = try change(id, at: now) { (group, _) throws(GroupError) in
                group.pendingOffsets[producerID] = nil
                group.offsets.merge(offsets) { $1 }
            }
        }
    }

    /// How far a group has read. Partitions without an offset are missing in the answer.
    ///
    /// - Parameters:
    ///   - partitions: nil for all that have an offset.
    ///   - requiresStable: whether a partition that a running transaction has an offset for gives
    ///     `unstableOffsetCommit` instead of the offset of before.
    public func fetchOffsets(
        group id: String, partitions: Set<TopicPartition>? = nil, requiresStable: Bool = false
    ) -> [TopicPartition: Result<CommittedOffset, GroupError>] {
        guard let group = groups[id] else { return [:] }
        let pending = group.pendingOffsets.values.flatMap(\.offsets.keys)
        let wanted = partitions ?? Set(group.offsets.keys).union(requiresStable ? pending : [])
        var answer: [TopicPartition: Result<CommittedOffset, GroupError>] = [:]
        for partition in wanted {
            if requiresStable, group.hasPendingOffset(partition) {
                answer[partition] = .failure(.unstableOffsetCommit)
            } else if let offset = group.offsets[partition] {
                answer[partition] = .success(offset)
            }
        }
        return answer
    }

    // MARK: Forgetting

    /// Forgets offsets of partitions that no member reads.
    ///
    /// - Returns: `groupSubscribedToTopic` for each partition of a topic that members read; the
    ///   others' offsets are gone, if there were any.
    /// - Throws: `groupIDNotFound`; `nonEmptyGroup` where what the members read cannot be known;
    ///   `coordinatorNotAvailable` where the store fails.
    public mutating func deleteOffsets(
        group id: String, partitions: Set<TopicPartition>, at now: GroupTime
    ) throws(GroupError) -> [TopicPartition: GroupError] {
        try requireGroupID(id)
        guard let group = groups[id] else { throw .groupIDNotFound(id) }
        var refused: [TopicPartition: GroupError] = [:]
        if group.state != .empty {
            guard let topics = group.subscribedTopics else { throw .nonEmptyGroup(id) }
            for partition in partitions where topics.contains(partition.topic) {
                refused[partition] = .groupSubscribedToTopic(partition.topic)
            }
        }
        let going = partitions.filter { refused[$0] == nil && group.offsets[$0] != nil }
        guard !going.isEmpty else { return refused }
        try write([.deleteOffsets(group: group.id, going)])
        for partition in going { groups[id]?.offsets[partition] = nil }
        return refused
    }

    /// Forgets a group that has no members, with its offsets, pending ones too.
    ///
    /// - Throws: `groupIDNotFound`, `nonEmptyGroup`, and `coordinatorNotAvailable` where the store
    ///   fails.
    public mutating func deleteGroup(_ id: String) throws(GroupError) {
        try requireGroupID(id)
        guard let group = groups[id] else { throw .groupIDNotFound(id) }
        guard group.state == .empty else { throw .nonEmptyGroup(id) }
        // What a log has of a transaction under way cannot be taken back from it.
        guard !store.keepsMembers || group.pendingOffsets.isEmpty else { throw .nonEmptyGroup(id) }
        try write(deletion(of: group))
        groups[id] = nil
    }

    /// What has all of a group go.
    private func deletion(of group: Group) -> [OffsetStoreChange] {
        let offsets = Set(group.offsets.keys)
        let each = OffsetStoreChange.deleteOffsets(group: group.id, offsets)
        let isNamed = store.keepsMembers && !offsets.isEmpty
        return (isNamed ? [each] : []) + [.deleteGroup(group: group.id)]
    }

    /// A topic was deleted: no group has an offset in it any more, so that another topic of its
    /// name is read from where that begins.
    ///
    /// - Throws: `coordinatorNotAvailable` where the store fails. Nothing has changed then.
    public mutating func topicDeleted(_ topic: String) throws(GroupError) {
        if store.keepsMembers { return try forget(topic) }
        var changes: [OffsetStoreChange] = []
        var changed = groups
        for (id, var group) in groups {
            let going = Set(group.offsets.keys.filter { $0.topic == topic })
            if !going.isEmpty { changes.append(.deleteOffsets(group: id, going)) }
            for partition in going { group.offsets[partition] = nil }
            for (producerID, var pending) in group.pendingOffsets {
                let left = pending.offsets.filter { $0.key.topic != topic }
                guard left.count < pending.offsets.count else { continue }
                changes.append(.removePendingOffsets(group: id, producerID: producerID))
                pending.offsets = left
                group.pendingOffsets[producerID] = left.isEmpty ? nil : pending
                guard !left.isEmpty else { continue }
                changes.append(
                    .pendingOffsets(
                        group: id, producerID: producerID, producerEpoch: pending.producerEpoch,
                        left))
            }
            changed[id] = group
        }
        guard !changes.isEmpty else { return }
        try write(changes)
        groups = changed
    }

    /// The same, group by group, where the store is a log: what one partition of it does not take
    /// must not undo what another has. That pending offsets go is not written: the ids of topics
    /// tell it to whoever reads the log.
    private mutating func forget(_ topic: String) throws(GroupError) {
        for id in groups.keys.sorted() {
            guard var group = groups[id] else { continue }
            let going = Set(group.offsets.keys.filter { $0.topic == topic })
            if !going.isEmpty { try write([.deleteOffsets(group: id, going)]) }
            for partition in going { group.offsets[partition] = nil }
            for (producerID, var pending) in group.pendingOffsets {
                pending.offsets = pending.offsets.filter { $0.key.topic != topic }
                group.pendingOffsets[producerID] = pending.offsets.isEmpty ? nil : pending
            }
            groups[id] = group
        }
    }

    /// Old offsets go, and groups that have nothing left. What the store does not take stays until
    /// the next time.
    mutating func expireOffsets(at now: GroupTime) {
        let age = configuration.offsetsRetentionMilliseconds
        let (limit, overflow) = now.timestamp.rawValue.subtractingReportingOverflow(age)
        guard !overflow else { return }
        for id in groups.keys.sorted() {
            guard var group = groups[id] else { continue }
            let before = group
            let going = group.expiredOffsets(before: Timestamp(milliseconds: limit))
            for partition in going { group.offsets[partition] = nil }
            let isGone = group.isForgettable && (group.emptySince?.rawValue ?? limit) <= limit
            guard isGone || !going.isEmpty else { continue }
            do throws(GroupError) {
                try write(
                    isGone ? deletion(of: before) : [.deleteOffsets(group: id, going)])
                groups[id] = isGone ? nil : group
            } catch {
                continue
            }
        }
    }

    private func write(_ changes: [OffsetStoreChange]) throws(GroupError) {
        do throws(OffsetStoreError) {
            try store.apply(changes)
        } catch {
            throw error.groupError
        }
    }

    // MARK: Looking

    /// What a group looks like.
    ///
    /// - Throws: `groupIDNotFound`.
    public func describe(_ id: String) throws(GroupError) -> GroupDescription {
        try requireGroupID(id)
        guard let group = groups[id] else { throw .groupIDNotFound(id) }
        let isSettled = group.state == .stable
        return GroupDescription(
            group: id, state: group.state, generation: group.generation,
            protocolType: group.protocolType, protocolName: group.protocolName,
            leaderID: group.leaderID,
            members: group.membersInOrder.map {
                GroupDescription.Member(
                    memberID: $0.id, instanceID: $0.instanceID, clientID: $0.clientID,
                    clientHost: $0.clientHost,
                    metadata: isSettled ? $0.metadata(for: group.protocolName) : [],
                    assignment: isSettled ? $0.assignment : [])
            }, emptySince: group.emptySince)
    }

    /// All groups, ordered by their ids.
    public func list() -> [GroupListing] {
        groups.values.sorted { $0.id < $1.id }.map {
            GroupListing(group: $0.id, protocolType: $0.protocolType, state: $0.state)
        }
    }
}
