import Logging
import Tally
import TallyWire

extension Broker {
    /// A member joins a group; the answer may take as long as a rebalance.
    func joinGroup(_ request: JoinGroupRequest, _ context: Context) async
        -> JoinGroupResponse?
    {
        let sessionTimeout = Int64(request.sessionTimeoutMilliseconds)
        let join = JoinRequest(
            group: request.groupID, memberID: request.memberID,
            instanceID: request.groupInstanceID, clientID: context.clientID,
            clientHost: context.client.host, sessionTimeoutMilliseconds: sessionTimeout,
            // Version 0 has one timeout for both.
            rebalanceTimeoutMilliseconds: request.rebalanceTimeoutMilliseconds < 0
                ? sessionTimeout : Int64(request.rebalanceTimeoutMilliseconds),
            protocolType: request.protocolType,
            protocols: request.protocols.map {
                GroupProtocol(name: $0.name, metadata: $0.metadata)
            },
            requiresKnownMemberID: context.version >= 4,
            supportsSkippingAssignment: context.version >= 9)
        let result = await answer { tell in engine.groups.join(join, answer: tell) }
        var response = JoinGroupResponse()
        response.memberID = request.memberID
        if context.version >= 7 { response.protocolName = nil }
        switch result {
        case .success(let answer):
            response.generationID = answer.generation
            response.protocolType = context.version >= 7 ? answer.protocolType : nil
            response.protocolName = answer.protocolName
            response.leader = answer.leaderID
            response.memberID = answer.memberID
            response.skipAssignment = answer.skipsAssignment
            response.members = answer.members.map { member in
                var answer = JoinGroupResponse.Member()
                answer.memberID = member.memberID
                answer.groupInstanceID = context.version >= 5 ? member.instanceID : nil
                answer.metadata = member.metadata
                return answer
            }
        case .failure(let error):
            response.errorCode = code(of: error, in: request.groupID, context)
            if case .memberIDRequired(let memberID) = error { response.memberID = memberID }
        }
        return response
    }

    /// What a group answers, which may take as long as a rebalance; whoever hangs up, or is told to
    /// by a shutdown, waits no longer.
    private func answer<Success: Sendable>(
        _ ask: (@escaping GroupService.Answer<Success>) -> Void
    ) async -> Result<Success, GroupError> {
        let waiting = WaitingAnswer<Result<Success, GroupError>>()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                waiting.begin(continuation)
                ask { waiting.tell($0) }
            }
        } onCancel: {
            waiting.tell(
                .failure(.coordinatorNotAvailable(reason: "the connection is being ended")))
        }
    }

    /// The code of an error. What a client tries again for ever, without a word of why, is noted
    /// here: a full store, or members that take all they may.
    private func code(
        of error: GroupError, in group: String, _ context: Context
    ) -> ErrorCode {
        if case .coordinatorNotAvailable = error {
            configuration.logger.info(
                "A member of \(group) at \(context.client.host) is told \(error)")
        }
        return ErrorCode(error)
    }

    /// A member asks for what it is to read; the leader says it for all.
    func syncGroup(_ request: SyncGroupRequest, _ context: Context) async
        -> SyncGroupResponse?
    {
        let sync = SyncRequest(
            group: request.groupID,
            caller: GroupCaller(
                memberID: request.memberID, instanceID: request.groupInstanceID,
                generation: request.generationID),
            protocolType: request.protocolType, protocolName: request.protocolName,
            assignments: Dictionary(
                request.assignments.map { ($0.memberID, $0.assignment) },
                uniquingKeysWith: { $1 }))
        let result = await answer { tell in engine.groups.sync(sync, answer: tell) }
        var response = SyncGroupResponse()
        switch result {
        case .success(let answer):
            response.assignment = answer.assignment
            guard context.version >= 5 else { break }
            response.protocolType = answer.protocolType
            response.protocolName = answer.protocolName
        case .failure(let error):
            response.errorCode = code(of: error, in: request.groupID, context)
        }
        return response
    }

    /// A member says that it is alive.
    func heartbeat(_ request: HeartbeatRequest, _ context: Context) async
        -> HeartbeatResponse?
    {
        let caller = GroupCaller(
            memberID: request.memberID, instanceID: request.groupInstanceID,
            generation: request.generationID)
        var response = HeartbeatResponse()
        response.errorCode = await .of {
            try await engine.groups.ask { (coordinator, now) throws(GroupError) in
                try coordinator.heartbeat(group: request.groupID, caller: caller, at: now)
            }
        }
        return response
    }

    /// Members go.
    func leaveGroup(_ request: LeaveGroupRequest, _ context: Context) async
        -> LeaveGroupResponse?
    {
        var response = LeaveGroupResponse()
        let isOfOne = context.version < 3
        let leaving =
            isOfOne
            ? [LeavingMember(memberID: request.memberID)]
            : request.members.map {
                LeavingMember(memberID: $0.memberID, instanceID: $0.groupInstanceID)
            }
        do {
            let results = try await engine.groups.leave(request.groupID, leaving)
            for (member, result) in zip(leaving, results) {
                let code: ErrorCode =
                    if case .failure(let error) = result { ErrorCode(error) } else { .none }
                if isOfOne {
                    response.errorCode = code
                } else {
                    var answer = LeaveGroupResponse.Member()
                    answer.memberID = member.memberID
                    answer.groupInstanceID = member.instanceID
                    answer.errorCode = code
                    response.members.append(answer)
                }
            }
        } catch {
            response.errorCode = ErrorCode(error)
        }
        return response
    }
}
