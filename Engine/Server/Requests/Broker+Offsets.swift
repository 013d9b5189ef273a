import Tally
import TallyWire

extension Broker {
    /// The offset that belongs to a time, or one of the ends.
    func listOffsets(_ request: ListOffsetsRequest, _ context: Context) async
        -> ListOffsetsResponse?
    {
        var response = ListOffsetsResponse()
        let isolation: IsolationLevel =
            request.isolationLevel == 1 ? .readCommitted : .readUncommitted
        for topic in request.topics {
            var answer = ListOffsetsResponse.Topic()
            answer.name = topic.name
            for wanted in topic.partitions {
                answer.partitions.append(await find(wanted, of: topic.name, isolation, context))
            }
            response.topics.append(answer)
        }
        return response
    }

    private func find(
        _ wanted: ListOffsetsRequest.Partition, of topic: String, _ isolation: IsolationLevel,
        _ context: Context
    ) async -> ListOffsetsResponse.Partition {
        var answer = ListOffsetsResponse.Partition()
        answer.partitionIndex = wanted.partitionIndex
        do {
            let partition = try partition(wanted.partitionIndex, of: topic)
            let log = try partition.log
            try checkLeads(partition, clientEpoch: wanted.currentLeaderEpoch)
            // A new leader that is not sure yet tells of no end: readers may have seen a later one.
            if cluster != nil {
                _ = try endForConsumers(partition, epoch: -1, offset: 0, isOfAnyReplica: false)
            }
            try log.settle()
            let found = try log.offset(forWireTime: wanted.timestamp, isolation)
            guard let found else { return answer }
            answer.offset = found.offset.rawValue
            answer.timestamp = found.timestamp?.rawValue ?? -1
            guard context.version >= 4 else { return answer }
            answer.leaderEpoch = log.epoch(at: found.offset)?.rawValue ?? -1
        } catch {
            answer.errorCode = ErrorCode(error)
        }
        return answer
    }

    /// Where the records of leader epochs end.
    func offsetForLeaderEpoch(
        _ request: OffsetForLeaderEpochRequest, _ context: Context
    ) async -> OffsetForLeaderEpochResponse? {
        var response = OffsetForLeaderEpochResponse()
        for topic in request.topics {
            var answer = OffsetForLeaderEpochResponse.Topic()
            answer.name = topic.name
            answer.partitions = topic.partitions.map { end(of: $0, of: topic.name) }
            response.topics.append(answer)
        }
        return response
    }

    private func end(
        of wanted: OffsetForLeaderEpochRequest.Partition, of topic: String
    ) -> OffsetForLeaderEpochResponse.EpochEnd {
        var answer = OffsetForLeaderEpochResponse.EpochEnd()
        answer.partition = wanted.partition
        do {
            let partition = try partition(wanted.partition, of: topic)
            let log = try partition.log
            try checkLeads(partition, clientEpoch: wanted.currentLeaderEpoch)
            // Later than all that there are, or earlier: nothing is known of it.
            if let found = log.end(ofClientEpoch: wanted.leaderEpoch) {
                answer.leaderEpoch = found.epoch.rawValue
                answer.endOffset = found.endOffset.rawValue
            }
        } catch {
            answer.errorCode = ErrorCode(error)
        }
        return answer
    }

    /// Lets go of records.
    func deleteRecords(_ request: DeleteRecordsRequest, _ context: Context) async
        -> DeleteRecordsResponse?
    {
        var response = DeleteRecordsResponse()
        for topic in request.topics {
            var answer = DeleteRecordsResponse.TopicResult()
            answer.name = topic.name
            for wanted in topic.partitions {
                var result = DeleteRecordsResponse.PartitionResult()
                result.partitionIndex = wanted.partitionIndex
                result.lowWatermark = -1
                do {
                    // -1 stands for the high watermark.
                    guard wanted.offset >= -1 else { throw ClientRequestError.offsetOutOfRange }
                    let partition = try partition(wanted.partitionIndex, of: topic.name)
                    let log = try partition.log
                    try checkLeads(partition, clientEpoch: -1)
                    try log.settle()
                    let start = try await engine.deleteRecords(
                        ofTopic: topic.name, partition: wanted.partitionIndex,
                        before: wanted.offset == -1 ? nil : Offset(wanted.offset))
                    result.lowWatermark = start.rawValue
                } catch {
                    result.errorCode = ErrorCode(error)
                }
                answer.partitions.append(result)
            }
            response.topics.append(answer)
        }
        return response
    }
}

extension PartitionLog {
    /// Syncs what was answered with `acks` 1 and is on its way: whoever has heard of a record finds
    /// it with the next request.
    fileprivate func settle() throws(LogError) {
        if durability == .synced, highWatermark < logEnd { try flush() }
    }

    /// - Parameter time: milliseconds since 1970, or one of the protocol's marks.
    fileprivate func offset(
        forWireTime time: Int64, _ isolation: IsolationLevel
    ) throws -> (offset: Offset, timestamp: Timestamp?)? {
        let end = isolation == .readCommitted ? try lastStableOffset() : highWatermark
        switch time {
        case -1: return (end, nil)
        // The earliest there is, and the earliest that is not in another store: there is none.
        case -2, -4: return (logStart, nil)
        case -3:
            guard let latest = try offsetOfMaxTimestamp(), latest.offset < end else { return nil }
            return (latest.offset, latest.timestamp)
        case ..<0: return nil
        default:
            let found = try offset(forTimestamp: Timestamp(milliseconds: time))
            guard let found, found.offset < end else { return nil }
            return (found.offset, found.timestamp)
        }
    }
}
