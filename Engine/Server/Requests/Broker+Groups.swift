import Tally
import TallyWire

extension Broker {
    /// Groups as they are.
    func describeGroups(_ request: DescribeGroupsRequest, _ context: Context) async
        -> DescribeGroupsResponse?
    {
        var response = DescribeGroupsResponse()
        for id in request.groups.unique() {
            var answer = DescribeGroupsResponse.Group()
            answer.groupID = id
            do {
                let group = try await engine.groups.ask(about: id) {
                    (coordinator, _) throws(GroupError) in try coordinator.describe(id)
                }
                fill(&answer, with: group, context)
            } catch .groupIDNotFound {
                // As Kafka: a group that is not there is dead, and from version 6 on an error.
                answer.groupState = GroupState.dead.rawValue
                if context.version >= 6 {
                    answer.errorCode = .groupIDNotFound
                    answer.errorMessage = "Group \(id) not found."
                }
            } catch {
                answer.errorCode = ErrorCode(error)
            }
            response.groups.append(answer)
        }
        return response
    }

    private func fill(
        _ answer: inout DescribeGroupsResponse.Group, with group: GroupDescription,
        _ context: Context
    ) {
        answer.groupState = group.state.rawValue
        answer.protocolType = group.protocolType ?? ""
        answer.protocolData = group.state == .stable ? group.protocolName ?? "" : ""
        answer.members = group.members.map { member in
            var answer = DescribeGroupsResponse.Member()
            answer.memberID = member.memberID
            answer.groupInstanceID = context.version >= 4 ? member.instanceID : nil
            answer.clientID = member.clientID
            answer.clientHost = member.clientHost
            answer.memberMetadata = member.metadata
            answer.memberAssignment = member.assignment
            return answer
        }
    }

    /// All groups, by state and type.
    func listGroups(_ request: ListGroupsRequest, _ context: Context) async
        -> ListGroupsResponse?
    {
        var response = ListGroupsResponse()
        let states = Set(request.statesFilter.map { $0.lowercased() })
        let types = Set(request.typesFilter.map { $0.lowercased() })
        // All groups here speak the classic protocol.
        guard types.isEmpty || types.contains("classic") else { return response }
        do {
            let groups = try await engine.groups.ask { coordinator, _ in coordinator.list() }
            response.groups = groups.compactMap { group in
                guard states.isEmpty || states.contains(group.state.rawValue.lowercased()) else {
                    return nil
                }
                var answer = ListGroupsResponse.Group()
                answer.groupID = group.group
                answer.protocolType = group.protocolType ?? ""
                answer.groupState = context.version >= 4 ? group.state.rawValue : ""
                answer.groupType = context.version >= 5 ? "classic" : ""
                return answer
            }
        } catch {
            response.errorCode = ErrorCode(error)
        }
        return response
    }

    /// Forgets groups without members.
    func deleteGroups(_ request: DeleteGroupsRequest, _ context: Context) async
        -> DeleteGroupsResponse?
    {
        var response = DeleteGroupsResponse()
        for id in request.groupNames {
            var result = DeleteGroupsResponse.GroupResult()
            result.groupID = id
            result.errorCode = await .of { try await engine.deleteGroup(id) }
            response.results.append(result)
        }
        return response
    }

    // MARK: Offsets

    /// Commits offsets.
    func offsetCommit(
        _ request: TallyWire.OffsetCommitRequest, _ context: Context
    ) async -> OffsetCommitResponse? {
        let commit = TallyGroups.OffsetCommitRequest(
            group: request.groupID,
            caller: GroupCaller(
                memberID: request.memberID, instanceID: request.groupInstanceID,
                generation: request.generationIDOrMemberEpoch),
            offsets: offsets(in: request.topics))
        let refusal = refusal(of: commit.offsets.keys)
        let outcome = await outcome {
            try await self.engine.groups.commit(commit, unless: refusal)
        }
        var response = OffsetCommitResponse()
        response.topics = request.topics.map { topic in
            results(topic.name, topic.partitions.map(\.partitionIndex), outcome)
        }
        return response
    }

    /// Why offsets cannot be committed, asked on the groups' lane: a topic was deleted since the
    /// request came, and another of its name has other records.
    func refusal(of partitions: some Collection<TopicPartition>) -> GroupService.Refusal {
        let known = partitions.compactMap { id in
            (try? engine.partition(id.partition, of: id.topic)).map { (id, $0) }
        }
        return { [engine] in
            for (id, partition) in known {
                guard (try? engine.partition(id.partition, of: id.topic)) !== partition else {
                    continue
                }
                return .invalidRequest(reason: "topic \(id.topic) was deleted meanwhile")
            }
            return nil
        }
    }

    /// What of an offset commit could not be done: all of it, or some partitions.
    typealias CommitOutcome = Result<[TopicPartition: GroupError], any Error>

    func outcome(
        of body: () async throws -> [TopicPartition: GroupError]
    ) async -> CommitOutcome {
        do {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }

    /// The offsets of a request that are of topics which are there.
    func offsets(
        in topics: [TopicOf<some CommittedPartition>]
    ) -> [TopicPartition: OffsetToCommit] {
        var offsets: [TopicPartition: OffsetToCommit] = [:]
        for topic in topics {
            for partition in topic.partitions
            where hasPartition(partition.partitionIndex, of: topic.name) {
                let id = TopicPartition(
                    topic: topic.name, partition: partition.partitionIndex)
                offsets[id] = OffsetToCommit(
                    offset: Offset(partition.committedOffset),
                    leaderEpoch: LeaderEpoch(partition.committedLeaderEpoch),
                    metadata: partition.committedMetadata ?? "")
            }
        }
        return offsets
    }

    private func hasPartition(_ index: Int32, of topic: String) -> Bool {
        (try? engine.partition(index, of: topic)) != nil
    }

    func results(
        _ topic: String, _ partitions: [Int32], _ outcome: CommitOutcome
    ) -> TopicOf<PartitionResult> {
        var answer = TopicOf<PartitionResult>()
        answer.name = topic
        answer.partitions = partitions.map { index in
            var result = PartitionResult()
            result.partitionIndex = index
            let id = TopicPartition(topic: topic, partition: index)
            switch outcome {
            case .failure(let error): result.errorCode = ErrorCode(error)
            case .success(let refused):
                if let error = refused[id] {
                    result.errorCode = ErrorCode(error)
                } else if !hasPartition(index, of: topic) {
                    result.errorCode = .unknownTopicOrPartition
                }
            }
            return result
        }
        return answer
    }

    /// How far groups have read.
    func offsetFetch(_ request: OffsetFetchRequest, _ context: Context) async
        -> OffsetFetchResponse?
    {
        var response = OffsetFetchResponse()
        if context.version >= 8 {
            for group in request.groups.unique(by: \.groupID) {
                var answer = OffsetFetchResponse.Group()
                answer.groupID = group.groupID
                do {
                    answer.topics = try await offsets(
                        of: group.groupID, group.topics, request.requireStable)
                } catch {
                    answer.errorCode = ErrorCode(error)
                }
                response.groups.append(answer)
            }
            return response
        }
        do {
            response.topics = try await offsets(
                of: request.groupID, request.topics, request.requireStable)
        } catch {
            if context.version >= 2 { response.errorCode = ErrorCode(error) }
            // Without a word for the whole, each partition has it: none would mean no offset.
            response.topics = (request.topics ?? []).map { topic in
                var answer = OffsetFetchResponse.Topic()
                answer.name = topic.name
                answer.partitions = topic.partitions.map { index in
                    let id = TopicPartition(topic: topic.name, partition: index)
                    var partition = self.answer(id, nil)
                    partition.errorCode = ErrorCode(error)
                    return partition
                }
                return answer
            }
        }
        return response
    }

    private func offsets(
        of group: String, _ topics: [OffsetFetchRequest.Topic]?, _ requiresStable: Bool
    ) async throws -> [OffsetFetchResponse.Topic] {
        let wanted = topics.map { topics in
            Set(
                topics.flatMap { topic in
                    topic.partitions.map {
                        TopicPartition(topic: topic.name, partition: $0)
                    }
                })
        }
        let found = try await engine.groups.ask(about: group) { coordinator, _ in
            coordinator.fetchOffsets(
                group: group, partitions: wanted, requiresStable: requiresStable)
        }
        let all = Dictionary(grouping: (wanted ?? Set(found.keys)).sorted(), by: \.topic)
        return all.sorted { $0.key < $1.key }.map { name, partitions in
            var topic = OffsetFetchResponse.Topic()
            topic.name = name
            topic.partitions = partitions.map { answer($0, found[$0]) }
            return topic
        }
    }

    private func answer(
        _ id: TopicPartition, _ found: Result<CommittedOffset, GroupError>?
    ) -> OffsetFetchResponse.Partition {
        var answer = OffsetFetchResponse.Partition()
        answer.partitionIndex = id.partition
        answer.committedOffset = -1
        switch found {
        case nil: break
        case .failure(let error): answer.errorCode = ErrorCode(error)
        case .success(let committed):
            answer.committedOffset = committed.offset.rawValue
            answer.committedLeaderEpoch = committed.leaderEpoch.rawValue
            answer.metadata = committed.metadata
        }
        return answer
    }

    /// Forgets offsets of a group.
    func offsetDelete(_ request: OffsetDeleteRequest, _ context: Context) async
        -> OffsetDeleteResponse?
    {
        var response = OffsetDeleteResponse()
        let partitions = Set(
            request.topics.flatMap { topic in
                topic.partitions.map {
                    TopicPartition(topic: topic.name, partition: $0.partitionIndex)
                }
            })
        do {
            let refused = try await engine.groups.ask(about: request.groupID) {
                (coordinator, now) throws(GroupError) in
                try coordinator.deleteOffsets(
                    group: request.groupID, partitions: partitions, at: now)
            }
            response.topics = request.topics.map { topic in
                var answer = OffsetDeleteResponse.Topic()
                answer.name = topic.name
                answer.partitions = topic.partitions.map { partition in
                    var result = OffsetDeleteResponse.Partition()
                    result.partitionIndex = partition.partitionIndex
                    let id = TopicPartition(
                        topic: topic.name, partition: partition.partitionIndex)
                    result.errorCode = refused[id].map { ErrorCode($0) } ?? .none
                    return result
                }
                return answer
            }
        } catch {
            response.errorCode = ErrorCode(error)
        }
        return response
    }
}

/// What two requests say of an offset that is to be committed.
protocol CommittedPartition: WireStruct {
    var partitionIndex: Int32 { get }
    var committedOffset: Int64 { get }
    var committedLeaderEpoch: Int32 { get }
    var committedMetadata: String? { get }
}

extension TallyWire.OffsetCommitRequest.Partition: CommittedPartition {}
extension TransactionOffsetCommitRequest.Partition: CommittedPartition {}
