extension Group {
    /// A member is alive. Throws `rebalanceInProgress` where it should join again.
    mutating func heartbeat(_ caller: GroupCaller, in context: GroupContext) throws(GroupError) {
        try requireCurrent(caller)
        renewSession(of: caller.memberID, at: context.now)
        if state == .preparingRebalance { throw .rebalanceInProgress }
    }

    /// A member goes.
    mutating func leave(
        _ leaving: LeavingMember, in context: inout GroupContext
    ) throws(GroupError) {
        if let instanceID = leaving.instanceID {
            guard let memberID = staticMembers[instanceID] else {
                throw .unknownMemberID(leaving.memberID)
            }
            guard leaving.memberID.isEmpty || leaving.memberID == memberID else {
                throw .fencedInstanceID(instanceID)
            }
            removeAndUpdate(memberID, answering: .unknownMemberID(memberID), in: &context)
        } else if removePending(leaving.memberID) {
            completeJoinIfReady(in: &context)
        } else {
            guard members[leaving.memberID] != nil else {
                throw .unknownMemberID(leaving.memberID)
            }
            removeAndUpdate(
                leaving.memberID, answering: .unknownMemberID(leaving.memberID), in: &context)
        }
    }

    /// Takes a member out, and lets the others share its partitions.
    mutating func removeAndUpdate(
        _ memberID: String, answering error: GroupError, in context: inout GroupContext
    ) {
        remove(memberID, answering: error, in: &context)
        switch state {
        case .stable, .completingRebalance: prepareRebalance(in: &context)
        case .preparingRebalance: completeJoinIfReady(in: &context)
        case .empty, .dead: break
        }
    }

    /// Does what is due at this moment.
    mutating func advance(in context: inout GroupContext) {
        let now = context.now.instant
        guard let due = earliestDeadline, due <= now else { return }
        for (memberID, deadline) in pendingMembers where deadline <= now {
            _ = removePending(memberID)
        }
        for member in membersInOrder where member.isLate(at: now) {
            removeAndUpdate(member.id, answering: .unknownMemberID(member.id), in: &context)
        }
        if let deadline = syncDeadline, deadline <= now {
            syncDeadline = nil
            let silent = membersInOrder.filter(\.owesSync)
            for member in silent {
                remove(member.id, answering: .unknownMemberID(member.id), in: &context)
            }
            if !silent.isEmpty { prepareRebalance(in: &context) }
        }
        completeJoinIfReady(in: &context)
        if let deadline = rebalanceDeadline, deadline <= now {
            rebalanceDeadlinePassed(in: &context)
        }
        recomputeEarliestDeadline()
    }
}
