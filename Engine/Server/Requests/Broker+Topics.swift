import Tally
import TallyCluster
import TallyReplication
import TallyWire

extension Broker {
    /// Topics are created.
    func createTopics(_ request: CreateTopicsRequest, _ context: Context) async
        -> CreateTopicsResponse?
    {
        var response = CreateTopicsResponse()
        let counts = Dictionary(grouping: request.topics, by: \.name).mapValues(\.count)
        for wanted in request.topics {
            var result = CreateTopicsResponse.TopicResult()
            result.name = wanted.name
            result.errorMessage = nil
            result.configs = nil
            do {
                guard counts[wanted.name] == 1 else {
                    throw ClientRequestError.invalidRequest("The request has the topic twice.")
                }
                let plan = try plan(wanted)
                if request.validateOnly {
                    try engine.checkCreation(wanted.name, partitions: plan.count, plan.values)
                } else {
                    result.topicID = WireUUID(try await create(wanted.name, plan))
                }
                result.partitionCount = Int32(plan.count)
                result.replicationFactor = plan.replicationFactor
                result.configs = plan.values.values.sorted { $0.key < $1.key }.map { name, value in
                    var entry = CreateTopicsResponse.Entry()
                    entry.name = name
                    entry.value = value
                    entry.configSource = ConfigSource.topic.rawValue
                    return entry
                }
            } catch {
                result.errorCode = ErrorCode(error)
                result.errorMessage = "\(error)"
            }
            response.topics.append(result)
        }
        return response
    }

    private func plan(_ wanted: CreateTopicsRequest.Topic) throws -> TopicPlan {
        var plan = TopicPlan(
            count: Int(wanted.partitionCount), replicationFactor: wanted.replicationFactor)
        if wanted.assignments.isEmpty {
            if plan.replicationFactor == -1 {
                plan.replicationFactor = cluster?.configuration.replicationFactor ?? 1
            }
            guard plan.replicationFactor == 1 || cluster != nil && plan.replicationFactor > 0 else {
                throw ClientRequestError.invalidReplicationFactor(wanted.replicationFactor)
            }
            if plan.count == -1 { plan.count = configuration.partitionCount }
        } else {
            plan.count = wanted.assignments.count
            let assignments = wanted.assignments.sorted { $0.partitionIndex < $1.partitionIndex }
            guard assignments.map(\.partitionIndex) == Array(0..<Int32(plan.count)) else {
                throw ClientRequestError.invalidReplicaAssignment(
                    "Assign partitions 0 to n - 1, each once.")
            }
            try checkAssignments(assignments.map(\.brokerIDs))
            plan.assignment = assignments.map { $0.brokerIDs.map { ReplicaID($0) } }
            plan.replicationFactor = Int16(clamping: assignments[0].brokerIDs.count)
        }
        for entry in wanted.configs {
            guard let value = entry.value else { continue }
            try plan.values.set(entry.name, to: value)
        }
        return plan
    }

    /// Each partition's brokers: where there is but this one, it.
    private func checkAssignments(_ assignments: [[Int32]]) throws {
        guard cluster != nil || assignments.allSatisfy({ $0 == [nodeID] }) else {
            throw ClientRequestError.invalidReplicaAssignment(
                "Assign each partition to broker \(nodeID): there is no other.")
        }
    }

    /// Topics are deleted, by name or id.
    func deleteTopics(_ request: DeleteTopicsRequest, _ context: Context) async
        -> DeleteTopicsResponse?
    {
        var response = DeleteTopicsResponse()
        if context.version < 6 {
            for name in request.topicNames {
                var result = DeleteTopicsResponse.TopicResult()
                result.name = name
                await delete(name, &result)
                response.responses.append(result)
            }
            return response
        }
        for topic in request.topics {
            var result = DeleteTopicsResponse.TopicResult()
            result.name = topic.name ?? engine.name(ofTopic: topic.topicID.topicID)
            result.topicID = topic.topicID
            if let name = result.name {
                result.topicID = (try? engine.describeTopic(name).id).map { WireUUID($0) } ?? .zero
                await delete(name, &result)
            } else {
                result.errorCode = .unknownTopicID
            }
            response.responses.append(result)
        }
        return response
    }

    private func delete(
        _ name: String, _ result: inout DeleteTopicsResponse.TopicResult
    ) async {
        do {
            try await deleteTopic(name)
        } catch {
            result.errorCode = ErrorCode(error)
            result.errorMessage = "\(error)"
        }
    }

    /// Topics get more partitions.
    func createPartitions(_ request: CreatePartitionsRequest, _ context: Context) async
        -> CreatePartitionsResponse?
    {
        var response = CreatePartitionsResponse()
        for wanted in request.topics {
            var result = CreatePartitionsResponse.TopicResult()
            result.name = wanted.name
            do {
                try await addPartitions(wanted, validateOnly: request.validateOnly)
            } catch {
                result.errorCode = ErrorCode(error)
                result.errorMessage = "\(error)"
            }
            response.results.append(result)
        }
        return response
    }

    private func addPartitions(
        _ wanted: CreatePartitionsRequest.Topic, validateOnly: Bool
    ) async throws {
        let count = Int(wanted.count)
        let current = try engine.partitions(of: wanted.name).count
        // As Kafka: asking for as many as there are is a mistake.
        guard count > current else {
            throw EngineError.partitionsCannotBeRemoved(
                topic: wanted.name, count: current, requested: count)
        }
        var assignment: [[ReplicaID]]?
        if let assignments = wanted.assignments, !assignments.isEmpty {
            guard assignments.count == count - current else {
                throw ClientRequestError.invalidReplicaAssignment(
                    "Assign each of the \(count - current) new partitions.")
            }
            try checkAssignments(assignments.map(\.brokerIDs))
            assignment = assignments.map { $0.brokerIDs.map { ReplicaID($0) } }
        }
        guard !validateOnly else { return }
        try await createPartitions(of: wanted.name, count: count, assignment)
    }

    /// Where partitions lie, and how large they are.
    func describeLogDirs(_ request: DescribeLogDirsRequest, _ context: Context) async
        -> DescribeLogDirsResponse?
    {
        var response = DescribeLogDirsResponse()
        var directory = DescribeLogDirsResponse.Directory()
        directory.logDirectory = engine.directory
        let wanted = request.topics.map { topics in
            Dictionary(topics.map { ($0.name, Set($0.partitions)) }, uniquingKeysWith: { $1 })
        }
        for description in (try? engine.topics()) ?? [] {
            if let wanted, wanted[description.name] == nil { continue }
            var topic = DescribeLogDirsResponse.Topic()
            topic.name = description.name
            topic.partitions = description.partitions.compactMap { partition in
                if let wanted, wanted[description.name]?.contains(partition.index) == false {
                    return nil
                }
                var answer = DescribeLogDirsResponse.Partition()
                answer.partitionIndex = partition.index
                answer.partitionSize = Int64(partition.byteCount)
                return answer
            }
            directory.topics.append(topic)
        }
        response.results = [directory]
        return response
    }
}
