extension Group {
    /// A member wants to join, or to join again. Throws where the answer is an error that can be
    /// given at once; otherwise the token is answered now or later.
    mutating func join(
        _ request: JoinRequest, token: GroupToken, in context: inout GroupContext
    ) throws(GroupError) {
        try requireRoom(for: request, in: &context)
        try requireSupport(of: request)
        if request.memberID.isEmpty {
            try joinUnknown(request, token: token, in: &context)
        } else if pendingMembers.removeValue(forKey: request.memberID) != nil {
            if let instanceID = request.instanceID {
                throw .invalidRequest(
                    reason: "'\(request.memberID)' was given to a dynamic member, and not to "
                        + "'\(instanceID)'")
            }
            add(request, as: request.memberID, token: token, in: &context)
        } else {
            try requireMember(request.memberID, instanceID: request.instanceID)
            rejoin(request, token: token, in: &context)
        }
    }

    /// `group.max.size`. During a rebalance those who came first stay; the others are taken out.
    private mutating func requireRoom(
        for request: JoinRequest, in context: inout GroupContext
    ) throws(GroupError) {
        let limit = context.configuration.groupSizeMax
        let member = members[request.memberID]
        let isAccepted: Bool
        switch state {
        case .empty, .dead: isAccepted = limit > 0
        case .preparingRebalance:
            isAccepted =
                member?.joinToken != nil
                || members.values.count { $0.joinToken != nil } < limit
        case .completingRebalance, .stable:
            // A static member that restarts takes the place that it has.
            let isKnown = request.instanceID.map { staticMembers[$0] != nil } ?? false
            isAccepted = member != nil || isKnown || members.count < limit
        }
        guard !isAccepted else { return }
        if member != nil, request.instanceID == member?.instanceID {
            removeAndUpdate(
                request.memberID, answering: .groupMaxSizeReached(limit: limit), in: &context)
        }
        throw .groupMaxSizeReached(limit: limit)
    }

    private func requireSupport(of request: JoinRequest) throws(GroupError) {
        guard !request.protocolType.isEmpty, !request.protocols.isEmpty else {
            throw .inconsistentGroupProtocol(
                reason: "A member has to name a protocol type and at least one protocol.")
        }
        guard Set(request.protocols.map(\.name)).count == request.protocols.count else {
            throw .invalidRequest(reason: "A protocol is named twice.")
        }
        guard !members.isEmpty else { return }
        guard request.protocolType == protocolType else {
            throw .inconsistentGroupProtocol(
                reason: "The group's members are of type '\(protocolType ?? "")' and not "
                    + "'\(request.protocolType)'.")
        }
        guard request.protocols.contains(where: { protocolCounts[$0.name] == members.count })
        else {
            let known = protocolCounts.filter { $0.value == members.count }.keys.sorted()
            throw .inconsistentGroupProtocol(
                reason: "The group's members share \(known.joined(separator: ", ")); the new one "
                    + "knows \(request.protocols.map(\.name).joined(separator: ", ")). Give it "
                    + "a partition.assignment.strategy that the others have too.")
        }
    }

    private mutating func joinUnknown(
        _ request: JoinRequest, token: GroupToken, in context: inout GroupContext
    ) throws(GroupError) {
        let memberID = context.makeMemberID(request.instanceID ?? request.clientID)
        if let instanceID = request.instanceID {
            if let old = staticMembers[instanceID] {
                restart(old, as: memberID, request, token: token, in: &context)
            } else {
                add(request, as: memberID, token: token, in: &context)
            }
        } else if request.requiresKnownMemberID {
            let deadline = context.now.instant.advanced(
                byMilliseconds: request.sessionTimeoutMilliseconds)
            pendingMembers[memberID] = deadline
            note(deadline)
            throw .memberIDRequired(memberID: memberID)
        } else {
            add(request, as: memberID, token: token, in: &context)
        }
    }

    private mutating func add(
        _ request: JoinRequest, as memberID: String, token: GroupToken,
        in context: inout GroupContext
    ) {
        if members.isEmpty { protocolType = request.protocolType }
        let deadline = context.now.instant.advanced(
            byMilliseconds: max(
                context.configuration.newMemberTimeoutMilliseconds,
                request.sessionTimeoutMilliseconds))
        var member = Member(
            id: memberID, instanceID: request.instanceID, clientID: request.clientID,
            clientHost: request.clientHost,
            sessionTimeoutMilliseconds: request.sessionTimeoutMilliseconds,
            rebalanceTimeoutMilliseconds: request.rebalanceTimeoutMilliseconds,
            supportsSkippingAssignment: request.supportsSkippingAssignment,
            protocols: request.protocols, order: nextOrder, sessionDeadline: deadline)
        member.joinToken = token
        nextOrder += 1
        members[memberID] = member
        countProtocols(of: member, by: 1)
        if let instanceID = request.instanceID { staticMembers[instanceID] = memberID }
        if leaderID == nil { leaderID = memberID }
        if state == .preparingRebalance, initialDelayRemaining != nil { hasNewMembers = true }
        note(deadline)
        prepareRebalance(in: &context)
    }

    private mutating func rejoin(
        _ request: JoinRequest, token: GroupToken, in context: inout GroupContext
    ) {
        let isUnchanged = members[request.memberID]?.protocols == request.protocols
        switch state {
        case .stable where isUnchanged && leaderID != request.memberID,
            .completingRebalance where isUnchanged:
            // Its answer may have been lost; it gets it once more. Only while the assignment is
            // not there yet does the leader need the members again.
            renewSession(of: request.memberID, at: context.now)
            let answer = joinAnswer(
                for: request.memberID,
                withMembers: state == .completingRebalance && leaderID == request.memberID)
            context.effects.append(.joinAnswered(token, .success(answer)))
        default:
            // A leader that joins a stable group again has seen something that the others have
            // not, new partitions for one.
            update(request.memberID, from: request, token: token, in: &context)
            prepareRebalance(in: &context)
        }
    }

    private mutating func update(
        _ memberID: String, from request: JoinRequest, token: GroupToken,
        in context: inout GroupContext
    ) {
        guard var member = members[memberID] else { return }
        countProtocols(of: member, by: -1)
        member.protocols = request.protocols
        member.sessionTimeoutMilliseconds = request.sessionTimeoutMilliseconds
        member.rebalanceTimeoutMilliseconds = request.rebalanceTimeoutMilliseconds
        member.supportsSkippingAssignment = request.supportsSkippingAssignment
        member.clientID = request.clientID
        member.clientHost = request.clientHost
        countProtocols(of: member, by: 1)
        // It asked again: nobody waits for the first answer any more.
        Self.answer(&member, .failure(.rebalanceInProgress), in: &context)
        member.joinToken = token
        members[memberID] = member
    }

    /// A static member has come back without its id: the new one takes the old one's place, and
    /// whoever still acts as the old one is fenced (KIP-345).
    private mutating func restart(
        _ oldID: String, as newID: String, _ request: JoinRequest, token: GroupToken,
        in context: inout GroupContext
    ) {
        guard var member = members.removeValue(forKey: oldID) else { return }
        let before = member
        let fenced = GroupError.fencedInstanceID(request.instanceID ?? "")
        Self.answer(&member, .failure(fenced), in: &context)
        Self.answerSync(&member, .failure(fenced), in: &context)
        member.id = newID
        members[newID] = member
        if let instanceID = request.instanceID { staticMembers[instanceID] = newID }
        let wasLeader = leaderID == oldID
        if wasLeader { leaderID = newID }
        update(newID, from: request, token: token, in: &context)
        renewSession(of: newID, at: context.now)
        guard state == .stable, protocolName == selectedProtocol(),
            Self.subscriptionIsSame(before, request, protocolType, protocolName)
        else {
            prepareRebalance(in: &context)
            return
        }
        // Whoever takes the group over must know the new id: it would fence the member.
        guard keepRestarted(in: context) else {
            prepareRebalance(in: &context)
            return
        }
        members[newID]?.joinToken = nil
        var answer = joinAnswer(for: newID, withMembers: false)
        if wasLeader {
            // Nothing is to be computed. A member that cannot be told so is told that another
            // leads.
            if request.supportsSkippingAssignment {
                answer.skipsAssignment = true
                answer.members = leaderMembers()
            } else {
                answer.leaderID = oldID
            }
        }
        context.effects.append(.joinAnswered(token, .success(answer)))
    }

    private func keepRestarted(in context: GroupContext) -> Bool {
        guard context.store.keepsMembers else { return true }
        let changed = OffsetStoreChange.metadata(
            group: id, metadataWithMembers { $0.assignment })
        return (try? context.store.apply([changed])) != nil
    }

    /// Whether a static member that restarted wants the same topics. Consumers' metadata also
    /// tells what they own, which a restarted one does not know any more: only topics count.
    private static func subscriptionIsSame(
        _ member: Member, _ request: JoinRequest, _ type: String?, _ name: String?
    ) -> Bool {
        let old = member.metadata(for: name)
        let new = request.protocols.first { $0.name == name }?.metadata ?? []
        if old == new { return true }
        guard type == ConsumerSubscription.protocolType,
            let old = try? ConsumerSubscription(decoding: old),
            let new = try? ConsumerSubscription(decoding: new)
        else { return false }
        return Set(old.topics) == Set(new.topics)
    }

    // MARK: Answers

    func leaderMembers() -> [JoinAnswer.Member] {
        membersInOrder.map {
            JoinAnswer.Member(
                memberID: $0.id, instanceID: $0.instanceID,
                metadata: $0.metadata(for: protocolName))
        }
    }

    func joinAnswer(for memberID: String, withMembers: Bool) -> JoinAnswer {
        JoinAnswer(
            generation: generation, protocolType: protocolType ?? "",
            protocolName: protocolName ?? "", leaderID: leaderID ?? "", memberID: memberID,
            members: withMembers ? leaderMembers() : [], skipsAssignment: false)
    }
}
