public import TallyGroups

extension Engine {
    /// All consumer groups, by id.
    ///
    /// Throws ``EngineError/group(_:)`` where the store cannot be read.
    public func groupListings() async throws -> [GroupListing] {
        try await askGroups { coordinator, _ in coordinator.list() }
    }

    /// What a group looks like now.
    ///
    /// Throws ``EngineError/group(_:)`` with `groupIDNotFound`.
    public func describeGroup(_ group: String) async throws -> GroupDescription {
        try await askGroups(about: group) { (coordinator, _) throws(GroupError) in
            try coordinator.describe(group)
        }
    }

    /// How far a group has committed; nil for all partitions. Those without an offset are missing.
    public func committedOffsets(
        ofGroup group: String, partitions: Set<TopicPartition>? = nil
    ) async throws -> [TopicPartition: CommittedOffset] {
        let answers = try await askGroups(about: group) { coordinator, _ in
            coordinator.fetchOffsets(group: group, partitions: partitions)
        }
        return answers.compactMapValues { try? $0.get() }
    }

    /// Commits offsets for a group from outside: one without members, or that never had any.
    ///
    /// Throws ``EngineError/group(_:)`` with `unknownMemberID` where the group has members.
    public func commitOffsets(
        _ offsets: [TopicPartition: OffsetToCommit], ofGroup group: String
    ) async throws {
        let request = OffsetCommitRequest(group: group, caller: .outside, offsets: offsets)
        try requireNotClosed()
        do {
            let refused = try await groups.commit(request)
            if let first = refused.min(by: { $0.key < $1.key }) { throw first.value }
        } catch let error as GroupError {
            throw EngineError.group(error)
        }
    }

    /// Forgets a group without members, with its offsets.
    ///
    /// Throws ``EngineError/group(_:)`` with `groupIDNotFound` or `nonEmptyGroup`.
    public func deleteGroup(_ group: String) async throws {
        try await askGroups(about: group) { (coordinator, _) throws(GroupError) in
            try coordinator.deleteGroup(group)
        }
    }

    func askGroups<Success: Sendable>(
        about group: String? = nil,
        _ request:
            @escaping @Sendable (inout GroupCoordinator, GroupTime) throws(GroupError) ->
            Success
    ) async throws -> Success {
        try requireNotClosed()
        do {
            return try await groups.ask(about: group, request)
        } catch {
            throw EngineError.group(error)
        }
    }
}
