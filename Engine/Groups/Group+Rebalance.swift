import TallyRecords

extension Group {
    /// Begins a rebalance unless one is being prepared, and completes it where all are there.
    mutating func prepareRebalance(in context: inout GroupContext) {
        if state != .preparingRebalance {
            for var member in membersInOrder {
                let isWaiting = member.syncToken != nil
                Self.answerSync(&member, .failure(.rebalanceInProgress), in: &context)
                member.owesSync = false
                member.assignment = []
                members[member.id] = member
                if isWaiting { renewSession(of: member.id, at: context.now) }
            }
            syncDeadline = nil
            let timeout = rebalanceTimeoutMilliseconds
            let delay = min(
                context.configuration.initialRebalanceDelayMilliseconds, timeout)
            hasNewMembers = false
            if state == .empty, delay > 0 {
                initialDelayRemaining = timeout - delay
                setRebalanceDeadline(after: delay, in: context)
            } else {
                initialDelayRemaining = nil
                setRebalanceDeadline(after: timeout, in: context)
            }
            state = .preparingRebalance
        }
        completeJoinIfReady(in: &context)
    }

    private var rebalanceTimeoutMilliseconds: Int64 {
        members.values.map(\.rebalanceTimeoutMilliseconds).max() ?? 0
    }

    private mutating func setRebalanceDeadline(
        after milliseconds: Int64, in context: GroupContext
    ) {
        let deadline = context.now.instant.advanced(byMilliseconds: max(milliseconds, 0))
        rebalanceDeadline = deadline
        note(deadline)
    }

    /// Completes the rebalance where nobody has to be waited for. The initial delay is always
    /// waited for, unless everybody has gone meanwhile.
    mutating func completeJoinIfReady(in context: inout GroupContext) {
        guard state == .preparingRebalance, pendingMembers.isEmpty,
            initialDelayRemaining == nil || members.isEmpty,
            members.values.allSatisfy({ $0.joinToken != nil })
        else { return }
        completeJoin(in: &context)
    }

    /// The rebalance deadline has passed.
    mutating func rebalanceDeadlinePassed(in context: inout GroupContext) {
        if let remaining = initialDelayRemaining, hasNewMembers, remaining > 0 {
            // Somebody came while the group waited: more may come.
            let delay = min(context.configuration.initialRebalanceDelayMilliseconds, remaining)
            hasNewMembers = false
            initialDelayRemaining = remaining - delay
            setRebalanceDeadline(after: delay, in: context)
            return
        }
        completeJoin(in: &context)
    }

    /// The next generation begins with those who have joined. Dynamic members that have not are
    /// out; static ones stay until their sessions end.
    private mutating func completeJoin(in context: inout GroupContext) {
        for member in membersInOrder where member.joinToken == nil && member.instanceID == nil {
            remove(member.id, answering: .unknownMemberID(member.id), in: &context)
        }
        if !members.isEmpty, !electLeaderThatJoined() {
            // Only static members, none of which is back yet.
            initialDelayRemaining = nil
            setRebalanceDeadline(after: max(rebalanceTimeoutMilliseconds, 1), in: context)
            return
        }
        let isEmpty = members.isEmpty
        let next = StoredGroupMetadata(
            generation: generation == .max ? 1 : generation + 1, protocolType: protocolType,
            emptySince: isEmpty ? context.now.timestamp : nil)
        do throws(OffsetStoreError) {
            // Before anybody hears of the generation, so that there is never another of its number.
            try context.store.apply([.metadata(group: id, next)])
        } catch {
            joinFailed(error, in: &context)
            return
        }
        generation = next.generation
        emptySince = next.emptySince
        rebalanceDeadline = nil
        initialDelayRemaining = nil
        hasNewMembers = false
        if isEmpty {
            state = .empty
            protocolName = nil
            leaderID = nil
            return
        }
        protocolName = selectedProtocol()
        state = .completingRebalance
        let timeout = rebalanceTimeoutMilliseconds
        for var member in membersInOrder {
            let answer = joinAnswer(for: member.id, withMembers: member.id == leaderID)
            Self.answer(&member, .success(answer), in: &context)
            member.isNew = false
            member.owesSync = true
            members[member.id] = member
            renewSession(of: member.id, at: context.now)
        }
        let deadline = context.now.instant.advanced(byMilliseconds: timeout)
        syncDeadline = deadline
        note(deadline)
    }

    /// The store does not take the generation: everybody is told to try again, and so do we.
    private mutating func joinFailed(_ error: OffsetStoreError, in context: inout GroupContext) {
        for var member in membersInOrder where member.joinToken != nil {
            Self.answer(
                &member, .failure(error.groupError), in: &context)
            member.isNew = false
            members[member.id] = member
            renewSession(of: member.id, at: context.now)
        }
        initialDelayRemaining = nil
        setRebalanceDeadline(after: max(rebalanceTimeoutMilliseconds, 1000), in: context)
    }

    /// The leader stays if it has joined; otherwise the first that has takes over.
    private mutating func electLeaderThatJoined() -> Bool {
        if let leaderID, members[leaderID]?.joinToken != nil { return true }
        guard let next = membersInOrder.first(where: { $0.joinToken != nil }) else {
            return false
        }
        leaderID = next.id
        return true
    }

    /// Each member votes for the protocol that it likes best of those that all know; most votes
    /// win. Kafka leaves open what happens at a tie; here, the leader's order decides.
    func selectedProtocol() -> String? {
        var votes: [String: Int] = [:]
        for member in members.values {
            let choice = member.protocols.first { protocolCounts[$0.name] == members.count }
            if let choice { votes[choice.name, default: 0] += 1 }
        }
        guard let most = votes.values.max() else { return nil }
        let order = leaderID.flatMap { members[$0] }?.protocols.map(\.name) ?? []
        return order.first { votes[$0] == most }
            ?? votes.filter { $0.value == most }.keys.min()
    }

    // MARK: Sync

    /// A member asks for its assignment. Throws where the answer is an error that can be given at
    /// once.
    mutating func sync(
        _ request: SyncRequest, token: GroupToken, in context: inout GroupContext
    ) throws(GroupError) {
        let memberID = request.caller.memberID
        try requireCurrent(request.caller)
        if let type = request.protocolType, type != protocolType {
            throw .inconsistentGroupProtocol(
                reason: "The group is of type '\(protocolType ?? "")' and not '\(type)'.")
        }
        if let name = request.protocolName, let chosen = protocolName, name != chosen {
            throw .inconsistentGroupProtocol(
                reason: "The group has chosen '\(chosen)' and not '\(name)'.")
        }
        switch state {
        case .empty, .dead:
            throw .unknownMemberID(memberID)
        case .preparingRebalance:
            throw .rebalanceInProgress
        case .completingRebalance:
            if memberID == leaderID { try storeMembers(request.assignments, in: context) }
            if var member = members[memberID] {
                Self.answerSync(&member, .failure(.rebalanceInProgress), in: &context)
                member.syncToken = token
                member.owesSync = false
                members[memberID] = member
            }
            guard memberID == leaderID else { return }
            state = .stable
            for var member in membersInOrder {
                member.assignment = request.assignments[member.id] ?? []
                members[member.id] = member
                answerSync(member.id, in: &context)
            }
        case .stable:
            members[memberID]?.owesSync = false
            members[memberID]?.syncToken = token
            answerSync(memberID, in: &context)
        }
        if members.values.allSatisfy({ !$0.owesSync }) { syncDeadline = nil }
    }

    /// Stores who is to read what, before anybody hears of it, where that is kept.
    private func storeMembers(
        _ assignments: [String: [UInt8]], in context: GroupContext
    ) throws(GroupError) {
        guard context.store.keepsMembers else { return }
        do throws(OffsetStoreError) {
            try context.store.apply(
                [.metadata(group: id, metadataWithMembers { assignments[$0.id] ?? [] })])
        } catch {
            throw error.groupError
        }
    }

    private mutating func answerSync(_ memberID: String, in context: inout GroupContext) {
        guard var member = members[memberID], member.syncToken != nil else { return }
        let answer = SyncAnswer(
            protocolType: protocolType ?? "", protocolName: protocolName ?? "",
            assignment: member.assignment)
        Self.answerSync(&member, .success(answer), in: &context)
        members[memberID] = member
        renewSession(of: memberID, at: context.now)
    }
}
