import Tally
import TallyCluster
import TallyReplication
import TallyWire

extension Broker {
    /// Batches from given offsets on; waits for some where there are none.
    func fetch(
        _ request: FetchRequest, _ context: Context, _ correlationID: Int32
    ) async throws -> Answer? {
        var response = FetchResponse()
        var slices: [LogSlice] = []
        if request.sessionID != 0 {
            // No session is ever given out: whoever says one has it from somebody else.
            response.errorCode = .fetchSessionIDNotFound
        } else {
            var fetch = Fetch(request, version: context.version, of: self)
            fetch.noteReplicas()
            (response.responses, slices) = await fetch.answer()
        }
        let (bytes, gaps) = try ResponseFrame(
            header: ResponseHeader(correlationID: correlationID), body: response
        ).encodedAroundGaps(version: context.version)
        return Answer(bytes, gaps: gaps, filledBy: slices)
    }
}

/// One fetch: looks at its partitions, and again whenever something has come to one of them, until
/// there is enough, something to tell, or no more time.
///
/// It reads beyond what a partition has only by whole batches, and of a batch in whose middle the
/// offset lies, all.
private struct Fetch {
    private let broker: Broker
    private let request: FetchRequest
    private let version: Int16
    private let bytesMax: Int
    private let deadline: ContinuousClock.Instant
    /// The process of a member that fetches as a replica, as it says; nil for consumers. Before
    /// version 15 it has no way to say which it is, and is believed nothing.
    private let follower: MemberProcess?
    /// What was found out before the first look of each partition that a replica asks for.
    private var followed: [TopicPartition: Result<Replica.FollowerFetch, any Error>] = [:]

    init(_ request: FetchRequest, version: Int16, of broker: Broker) {
        self.broker = broker
        self.request = request.withoutRepetition()
        self.version = version
        bytesMax = min(max(Int(request.maxBytes), 0), broker.configuration.fetchBytesMax)
        let replicaID = max(request.replicaID, request.replicaState.replicaID)
        follower =
            replicaID >= 0 && broker.cluster != nil
            ? MemberProcess(
                ReplicaID(replicaID),
                incarnation: UInt64(bitPattern: request.replicaState.replicaEpoch)) : nil
        deadline = .now + .milliseconds(max(Int64(request.maxWaitMilliseconds), 0))
    }

    /// How long news of the high watermark wait for records to go with: with traffic they come
    /// with the next ones, and an answer of their own would double the fetches.
    private static let newsTime = Duration.milliseconds(20)

    typealias Found = (topics: [FetchResponse.Topic], slices: [LogSlice])

    /// What one look led to.
    private struct Look {
        var found: Found = ([], [])
        var byteCount = 0
        /// Something that is no records, and is told at once.
        var hasError = false
        /// A replica has not heard of the high watermark yet, which goes with records, or alone
        /// where none come for a moment.
        var hasNews = false
        /// Where to wait, by partition: behind which high watermark (nil where there is news of
        /// it already), and, for replicas, behind which log end.
        var marks: [(partition: Partition, position: Offset?, logEnd: Offset?)] = []

        /// The answer of a partition has these bytes, which come from elsewhere.
        mutating func add(_ slice: LogSlice, to answer: inout FetchResponse.Partition) {
            answer.records = nil
            answer.byteCountElsewhere = slice.byteCount
            found.slices.append(slice)
            byteCount += slice.byteCount
        }
    }

    func answer() async -> Found {
        let arrival = Arrival()
        let limits = broker.engine.limits
        var limit: TimeLimits.Limit?
        var end = deadline
        var watched: [Partition] = []
        defer {
            if let limit { limits.cancel(limit) }
            for partition in watched {
                partition.arrivals.remove(arrival)
                if follower != nil { partition.appends.remove(arrival) }
            }
        }
        while true {
            let seen = arrival.count
            let look = look()
            let isEnough = look.byteCount >= Int(request.minBytes) || look.hasError
            let now = ContinuousClock.now
            if look.hasNews, end == deadline, now + Self.newsTime < end {
                end = now + Self.newsTime
                if let limit { limits.cancel(limit) }
                limit = nil
            }
            guard !isEnough, now < end, !Task.isCancelled else { return look.found }
            // Looked at before it was asked to be woken: asking says so where something has come.
            for mark in look.marks {
                guard let log = mark.partition.onlineLog else { continue }
                if let position = mark.position {
                    mark.partition.arrivals.wake(
                        arrival, behind: position, of: log.highWatermarkWatermark)
                }
                if let end = mark.logEnd {
                    mark.partition.appends.wake(arrival, behind: end, of: log.logEndWatermark)
                }
            }
            // Those of a topic that was deleted meanwhile have ended, and wake nobody any more.
            watched = look.marks.map(\.partition)
            if limit == nil { limit = limits.add(at: end) { arrival.signal() } }
            guard (try? await arrival.wait(after: seen)) != nil else { return look.found }
        }
    }

    private func look() -> Look {
        var look = Look()
        for topic in request.topics {
            var answer = FetchResponse.Topic()
            answer.topic = topic.topic
            answer.topicID = topic.topicID
            let name =
                version >= 13 ? broker.engine.name(ofTopic: topic.topicID.topicID) : topic.topic
            for partition in topic.partitions {
                guard let name else {
                    answer.partitions.append(failed(partition, .unknownTopicID))
                    look.hasError = true
                    continue
                }
                let id = version >= 13 ? topic.topicID.topicID : nil
                answer.partitions.append(read(partition, of: name, id, &look))
            }
            look.found.topics.append(answer)
        }
        return look
    }

    private func failed(
        _ partition: FetchRequest.Partition, _ code: ErrorCode
    ) -> FetchResponse.Partition {
        var answer = FetchResponse.Partition()
        answer.partitionIndex = partition.partition
        answer.errorCode = code
        answer.highWatermark = -1
        answer.abortedTransactions = nil
        answer.records = []
        return answer
    }

    private func read(
        _ wanted: FetchRequest.Partition, of topic: String, _ id: TopicID?, _ look: inout Look
    ) -> FetchResponse.Partition {
        do {
            let partition = try broker.partition(wanted.partition, of: topic)
            // Another one has the name since it was looked up.
            guard id == nil || id == partition.topicID else {
                throw ClientRequestError.unknownTopicID
            }
            let log = try partition.log
            if let follower {
                return try read(wanted, for: follower, partition, log, &look)
            }
            let end = try broker.endForConsumers(
                partition, epoch: wanted.currentLeaderEpoch, offset: wanted.fetchOffset,
                isOfAnyReplica: version >= 11)
            return try read(wanted, partition, log, end, &look)
        } catch {
            look.hasError = true
            var answer = failed(wanted, ErrorCode(error))
            if case LogError.offsetOutOfRange(let range) = error {
                answer.logStartOffset = range.logStart.rawValue
            }
            return answer
        }
    }

    private func read(
        _ wanted: FetchRequest.Partition, _ partition: Partition, _ log: PartitionLog,
        _ highWatermark: Offset, _ look: inout Look
    ) throws -> FetchResponse.Partition {
        let isCommitted = request.isolationLevel == 1
        var answer = FetchResponse.Partition()
        answer.partitionIndex = wanted.partition
        let stable = try min(log.lastStableOffset(), highWatermark)
        answer.highWatermark = highWatermark.rawValue
        answer.lastStableOffset = stable.rawValue
        answer.logStartOffset = log.logStart.rawValue
        answer.abortedTransactions = isCommitted ? [] : nil
        answer.records = []
        if let end = try diverging(wanted, log) {
            answer.divergingEpoch = end
            look.hasError = true
            return answer
        }
        let offset = Offset(wanted.fetchOffset)
        let bound = isCommitted ? min(stable, highWatermark) : highWatermark
        // What comes next, or the end of an open transaction, may make it enough.
        look.marks.append((partition, max(offset, highWatermark), nil))
        guard offset < log.logStart || offset > log.logEnd || offset < bound else {
            return answer
        }
        if let near = broker.preferredReplica(of: partition, for: request.rackID) {
            answer.preferredReadReplica = near.rawValue
            look.hasError = true
            return answer
        }
        // The first partition that has something gives a batch, however large it is.
        let room = min(bytesMax - look.byteCount, Int(wanted.partitionMaxBytes))
        guard room > 0 || look.byteCount == 0 else { return answer }
        let slice = try log.read(
            from: offset, bytesMax: max(room, 1),
            bound: isCommitted ? .lastStableOffset : .highWatermark)
        guard let slice else { return answer }
        guard slice.byteCount <= max(room, 0) || look.byteCount == 0 else { return answer }
        // Both may have risen since they were looked at: no record is told of behind them.
        answer.highWatermark = max(answer.highWatermark, slice.nextOffset.rawValue)
        if isCommitted {
            answer.lastStableOffset = max(answer.lastStableOffset, slice.nextOffset.rawValue)
            answer.abortedTransactions = try log.abortedTransactions(
                in: offset..<slice.nextOffset
            ).map { aborted in
                var answer = FetchResponse.AbortedTransaction()
                answer.producerID = aborted.producerID
                answer.firstOffset = aborted.firstOffset.rawValue
                return answer
            }
        }
        look.add(slice, to: &answer)
        return answer
    }

    // MARK: Replicas

    /// Counts what replicas say that they have: once, before the first look.
    mutating func noteReplicas() {
        guard let follower, let cluster = broker.cluster else { return }
        for topic in request.topics {
            let name =
                version >= 13 ? broker.engine.name(ofTopic: topic.topicID.topicID) : topic.topic
            guard let name else { continue }
            for partition in topic.partitions {
                let id = TopicPartition(topic: name, partition: partition.partition)
                followed[id] = Result {
                    try cluster.replica(partition.partition, of: name).noteFetch(
                        from: follower, in: LeaderEpoch(partition.currentLeaderEpoch),
                        at: Offset(partition.fetchOffset),
                        after: LeaderEpoch(partition.lastFetchedEpoch))
                }
            }
        }
    }

    /// What a replica gets: whatever the log has, committed or not.
    private func read(
        _ wanted: FetchRequest.Partition, for follower: MemberProcess, _ partition: Partition,
        _ log: PartitionLog, _ look: inout Look
    ) throws -> FetchResponse.Partition {
        let id = TopicPartition(topic: partition.topic, partition: partition.index)
        guard let cluster = broker.cluster, let noted = followed[id] else {
            throw ClientRequestError.unknownTopicID
        }
        let fetch = try noted.get()
        let replica = try cluster.replica(partition.index, of: partition.topic)
        try replica.check(LeaderEpoch(wanted.currentLeaderEpoch))
        var answer = FetchResponse.Partition()
        answer.partitionIndex = wanted.partition
        let (offset, highWatermark) = (Offset(wanted.fetchOffset), log.highWatermark)
        answer.highWatermark = highWatermark.rawValue
        answer.lastStableOffset = highWatermark.rawValue
        answer.logStartOffset = log.logStart.rawValue
        answer.abortedTransactions = nil
        answer.records = []
        if let end = fetch.diverging {
            answer.divergingEpoch.epoch = end.epoch.rawValue
            answer.divergingEpoch.endOffset = end.endOffset.rawValue
            look.hasError = true
            return answer
        }
        // It waits for records, and for news of the high watermark where it could make use of it.
        let told = offset > fetch.told ? fetch.told : highWatermark
        let hasNews = min(highWatermark, offset) > told
        look.hasNews = look.hasNews || hasNews
        look.marks.append((partition, hasNews ? nil : max(told, highWatermark), offset))
        replica.noteTold(highWatermark, to: follower.id)
        let room = min(bytesMax - look.byteCount, Int(wanted.partitionMaxBytes))
        guard offset < log.logEnd, room > 0 || look.byteCount == 0 else { return answer }
        let slice = try log.read(from: offset, bytesMax: max(room, 1), bound: .logEnd)
        guard let slice, slice.byteCount <= max(room, 0) || look.byteCount == 0 else {
            return answer
        }
        look.add(slice, to: &answer)
        return answer
    }

    /// Where a follower has another end of its last epoch than this log.
    private func diverging(
        _ wanted: FetchRequest.Partition, _ log: PartitionLog
    ) throws -> FetchResponse.EpochEnd? {
        guard wanted.lastFetchedEpoch >= 0 else { return nil }
        let found = log.end(ofClientEpoch: wanted.lastFetchedEpoch)
        guard let found else { throw ClientRequestError.offsetOutOfRange }
        guard
            found.epoch.rawValue < wanted.lastFetchedEpoch
                || found.endOffset.rawValue < wanted.fetchOffset
        else { return nil }
        var end = FetchResponse.EpochEnd()
        end.epoch = found.epoch.rawValue
        end.endOffset = found.endOffset.rawValue
        return end
    }
}

extension FetchRequest {
    /// Each partition once, as in Kafka: much may be told of one that was asked for in a few bytes.
    fileprivate func withoutRepetition() -> FetchRequest {
        guard topics.count > 1 || topics.contains(where: { $0.partitions.count > 1 }) else {
            return self
        }
        struct Place: Hashable {
            var topic: String
            var id: WireUUID
            var partition: Int32
        }
        var seen: Set<Place> = []
        var request = self
        for index in request.topics.indices {
            let (topic, id) = (topics[index].topic, topics[index].topicID)
            request.topics[index].partitions.removeAll { partition in
                !seen.insert(Place(topic: topic, id: id, partition: partition.partition)).inserted
            }
        }
        return request
    }
}

extension PartitionLog {
    /// Throws where a client knows another leader epoch than the partition has.
    func check(clientEpoch: Int32) throws {
        guard clientEpoch >= 0 else { return }
        let current = leaderEpoch.rawValue
        if clientEpoch < current { throw ClientRequestError.fencedLeaderEpoch }
        if clientEpoch > current { throw ClientRequestError.unknownLeaderEpoch }
    }

    /// Where the records of an epoch that a client knows end. As in Kafka, nothing is said of one
    /// that is later than all there are here: the log that had it was another one.
    func end(ofClientEpoch epoch: Int32) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        epoch > leaderEpoch.rawValue ? nil : endOffset(forEpoch: LeaderEpoch(epoch))
    }
}
