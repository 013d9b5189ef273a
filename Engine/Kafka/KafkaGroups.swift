import Tally
import TallyClient
import TallyGroups
import TallyRecords
import TallyWire

/// The groups of a cluster, by the classic protocol. Thread rule: any task.
///
/// A broker answers the requests of a connection in their order, and a join only when the group is
/// complete: what must not wait for that goes by another connection.
final class KafkaGroups: RemoteGroups {
    /// For what may wait for the others of the group.
    private let waiting: ClusterClient
    /// For offsets.
    private let offsets: ClusterClient

    init(bootstrap: [BrokerAddress], _ configuration: ClientConfiguration) {
        waiting = ClusterClient(bootstrap: bootstrap, configuration: configuration)
        offsets = ClusterClient(bootstrap: bootstrap, configuration: configuration)
    }

    func close() async {
        await waiting.close()
        await offsets.close()
    }

    // MARK: Membership

    func join(_ request: JoinRequest) async throws(GroupError) -> JoinAnswer {
        var wire = JoinGroupRequest()
        wire.groupID = request.group
        wire.sessionTimeoutMilliseconds = Int32(clamping: request.sessionTimeoutMilliseconds)
        wire.rebalanceTimeoutMilliseconds = Int32(clamping: request.rebalanceTimeoutMilliseconds)
        wire.memberID = request.memberID
        wire.groupInstanceID = request.instanceID
        wire.protocolType = request.protocolType
        wire.protocols = request.protocols.map { known in
            var named = JoinGroupRequest.ProtocolMetadata()
            (named.name, named.metadata) = (known.name, known.metadata)
            return named
        }
        let answer = try await send(
            wire, of: request.group, waiting,
            waitMilliseconds: request.rebalanceTimeoutMilliseconds)
        if answer.errorCode == .memberIDRequired {
            throw .memberIDRequired(memberID: answer.memberID)
        }
        try check(answer.errorCode, request.group, request.memberID)
        return JoinAnswer(
            generation: answer.generationID,
            protocolType: answer.protocolType ?? request.protocolType,
            protocolName: answer.protocolName ?? "", leaderID: answer.leader,
            memberID: answer.memberID,
            members: answer.members.map {
                JoinAnswer.Member(
                    memberID: $0.memberID, instanceID: $0.groupInstanceID, metadata: $0.metadata)
            }, skipsAssignment: answer.skipAssignment)
    }

    func sync(_ request: SyncRequest) async throws(GroupError) -> SyncAnswer {
        var wire = SyncGroupRequest()
        wire.groupID = request.group
        wire.generationID = request.caller.generation
        wire.memberID = request.caller.memberID
        wire.groupInstanceID = request.caller.instanceID
        wire.protocolType = request.protocolType
        wire.protocolName = request.protocolName
        wire.assignments = request.assignments.sorted { $0.key < $1.key }.map { id, assignment in
            var given = SyncGroupRequest.MemberAssignment()
            (given.memberID, given.assignment) = (id, assignment)
            return given
        }
        let answer = try await send(
            wire, of: request.group, waiting, waitMilliseconds: Self.syncMilliseconds)
        try check(answer.errorCode, request.group, request.caller.memberID)
        return SyncAnswer(
            protocolType: answer.protocolType ?? request.protocolType ?? "",
            protocolName: answer.protocolName ?? request.protocolName ?? "",
            assignment: answer.assignment)
    }

    /// The leader may take as long as its session lasts.
    private static let syncMilliseconds: Int64 = 60_000

    func heartbeat(group: String, _ caller: GroupCaller) async throws(GroupError) {
        var wire = HeartbeatRequest()
        wire.groupID = group
        wire.generationID = caller.generation
        wire.memberID = caller.memberID
        wire.groupInstanceID = caller.instanceID
        let answer = try await send(wire, of: group, waiting)
        try check(answer.errorCode, group, caller.memberID)
    }

    func leave(_ group: String, _ member: LeavingMember) async {
        do {
            let connection = try await offsets.connect(.groupCoordinator(group))
            var wire = LeaveGroupRequest()
            wire.groupID = group
            if try connection.versions.version(of: LeaveGroupRequest.self) >= 3 {
                var leaving = LeaveGroupRequest.Member()
                leaving.memberID = member.memberID
                leaving.groupInstanceID = member.instanceID
                wire.members = [leaving]
            } else {
                wire.memberID = member.memberID
            }
            _ = try await connection.send(wire)
        } catch {
            // Its session ends by itself.
        }
    }

    // MARK: Offsets

    func commit(
        _ request: TallyGroups.OffsetCommitRequest
    ) async throws(GroupError) -> [TopicPartition: GroupError] {
        var wire = TallyWire.OffsetCommitRequest()
        wire.groupID = request.group
        wire.generationIDOrMemberEpoch = request.caller.generation
        wire.memberID = request.caller.memberID
        wire.groupInstanceID = request.caller.instanceID
        wire.topics = TallyWire.OffsetCommitRequest.topics(
            of: request.offsets.mapValues {
                ClusterClient.CommittedOffset(
                    offset: $0.offset, leaderEpoch: $0.leaderEpoch, metadata: $0.metadata)
            })
        let answer = try await sendAgain(wire, of: request.group) { answer in
            let codes = answer.topics.flatMap(\.partitions).map(\.errorCode)
            return codes.first(where: \.isRetriable) ?? .none
        }
        var refused: [TopicPartition: GroupError] = [:]
        for topic in answer.topics {
            for partition in topic.partitions where partition.errorCode != .none {
                let error = GroupError(
                    partition.errorCode, request.group, request.caller.memberID)
                refused[
                    TopicPartition(topic: topic.name, partition: partition.partitionIndex)] = error
            }
        }
        // What is said of all of them is said of the request.
        if refused.count == request.offsets.count, let first = refused.values.first,
            refused.values.allSatisfy({ $0 == first })
        {
            throw first
        }
        return refused
    }

    func committedOffsets(
        ofGroup group: String, _ partitions: Set<TopicPartition>
    ) async throws(GroupError) -> [TopicPartition: CommittedOffset] {
        let found: [TopicPartition: ClusterClient.CommittedOffset]
        do {
            found = try await offsets.committedOffsets(
                ofGroup: group, partitions: partitions, isStable: true)
        } catch let error as ClientError {
            throw GroupError(error, group, "")
        } catch {
            throw .coordinatorNotAvailable(reason: "\(error)")
        }
        return found.filter { partitions.contains($0.key) }.mapValues {
            CommittedOffset(
                offset: $0.offset, leaderEpoch: $0.leaderEpoch, metadata: $0.metadata,
                commitTimestamp: Timestamp.none)
        }
    }

    // MARK: Asking

    private func send<Request: WireRequest>(
        _ request: Request, of group: String, _ client: ClusterClient, waitMilliseconds: Int64 = 0
    ) async throws(GroupError) -> Request.Response {
        do {
            let connection = try await client.connect(.groupCoordinator(group))
            return try await connection.send(request, waitMilliseconds: waitMilliseconds)
        } catch let error as ClientError {
            throw GroupError(error, group, "")
        } catch {
            throw .coordinatorNotAvailable(reason: "\(error)")
        }
    }

    /// For what may be done twice: until it is answered without an error that passes.
    private func sendAgain<Request: WireRequest>(
        _ request: Request, of group: String,
        problem: @Sendable (Request.Response) -> ErrorCode
    ) async throws(GroupError) -> Request.Response {
        do {
            return try await offsets.ask(
                .groupCoordinator(group), request, about: "group \(group)"
            ) { (problem($0), nil) }
        } catch let error as ClientError {
            throw GroupError(error, group, "")
        } catch {
            throw .coordinatorNotAvailable(reason: "\(error)")
        }
    }

    private func check(
        _ code: ErrorCode, _ group: String, _ memberID: String
    ) throws(GroupError) {
        if code != .none { throw GroupError(code, group, memberID) }
    }
}

extension GroupError {
    fileprivate init(_ error: ClientError, _ group: String, _ memberID: String) {
        self =
            switch error {
            case .refused(_, _, let code, _): GroupError(code, group, memberID)
            default: .coordinatorNotAvailable(reason: error.description)
            }
    }

    /// What a broker says of a group.
    init(_ code: ErrorCode, _ group: String, _ memberID: String) {
        self =
            switch code {
            case .unknownMemberID: .unknownMemberID(memberID)
            case .illegalGeneration: .illegalGeneration(given: -1, current: -1)
            case .rebalanceInProgress: .rebalanceInProgress
            case .inconsistentGroupProtocol:
                .inconsistentGroupProtocol(reason: "the group's members know no protocol of it")
            case .fencedInstanceID: .fencedInstanceID(memberID)
            case .groupMaxSizeReached: .groupMaxSizeReached(limit: -1)
            case .invalidSessionTimeout:
                .invalidSessionTimeout(milliseconds: -1, allowed: 0...Int64.max)
            case .invalidGroupID: .invalidGroupID(group)
            case .groupIDNotFound: .groupIDNotFound(group)
            case .offsetMetadataTooLarge: .offsetMetadataTooLarge(byteCount: -1, limit: -1)
            case .unstableOffsetCommit: .unstableOffsetCommit
            default:
                code.isRetriable
                    ? .coordinatorNotAvailable(reason: "\(code)")
                    : .invalidRequest(reason: "the cluster refuses it: \(code)")
            }
    }
}
