package import TallyRecords
import TallyWire

/// Where in a partition an offset is wanted.
package enum OffsetQuery: Int64, Sendable {
    /// The first offset that can be read.
    case logStart = -2
    /// Behind the last record that can be read.
    case end = -1
}

extension ClusterClient {
    /// Where partitions begin or end, asked of those that lead them.
    ///
    /// - Parameter isCommitted: whether the end is that for readers of committed records: before
    ///   the first open transaction.
    /// Throws ``ClientError``, and `CancellationError` where the task is cancelled.
    package func offsets(
        of partitions: Set<TopicPartition>, at query: OffsetQuery, isCommitted: Bool = false
    ) async throws -> [TopicPartition: Offset] {
        try await offsets(of: partitions, wanted: query.rawValue, isCommitted).mapValues(\.offset)
    }

    /// The first record of each partition whose timestamp is the given one or later. Partitions
    /// that have none are missing.
    ///
    /// Throws as ``offsets(of:at:isCommitted:)``.
    package func offsets(
        of partitions: Set<TopicPartition>, atTime time: Timestamp, isCommitted: Bool = false
    ) async throws -> [TopicPartition: FoundOffset] {
        // What is less means something else.
        try await offsets(of: partitions, wanted: max(time.rawValue, 0), isCommitted)
            .filter { $0.value.offset >= .zero }
    }

    /// An offset, and the timestamp of its record where one was looked for.
    package struct FoundOffset: Hashable, Sendable {
        /// The offset; -1 where there is none.
        package var offset: Offset
        /// The timestamp; none where an end was asked for.
        package var timestamp: Timestamp
    }

    private func offsets(
        of partitions: Set<TopicPartition>, wanted: Int64, _ isCommitted: Bool
    ) async throws -> [TopicPartition: FoundOffset] {
        var found: [TopicPartition: FoundOffset] = [:]
        // One broker after the other, and those that have moved again.
        try await retrying {
            try await self.look(at: Set(partitions.map(\.topic)))
            let view = self.currentView
            while let next = partitions.first(where: { found[$0] == nil }) {
                guard let leader = view.leader(of: next) else { throw ClientError.noLeader(next) }
                let asked = partitions.filter {
                    found[$0] == nil && view.leader(of: $0)?.id == leader.id
                }
                let connection = try await self.connect(.broker(leader.id))
                let answer = try await connection.send(
                    ListOffsetsRequest(asked, wanted, isCommitted: isCommitted, view),
                    atMost: Self.listOffsetsVersionMax)
                try take(answer, asked, &found)
            }
        }
        return found
    }

    /// Newer versions tell leader epochs, which nobody wants here, and which librdkafka's mock
    /// cluster writes with twice their size.
    private static let listOffsetsVersionMax: Int16 = 3

    private nonisolated func take(
        _ answer: ListOffsetsResponse, _ asked: Set<TopicPartition>,
        _ found: inout [TopicPartition: FoundOffset]
    ) throws(ClientError) {
        let before = found.count
        for topic in answer.topics {
            for partition in topic.partitions {
                let id = TopicPartition(topic: topic.name, partition: partition.partitionIndex)
                guard asked.contains(id) else { continue }
                guard partition.errorCode == .none else {
                    throw .refused(
                        request: ListOffsetsRequest.name, subject: "\(id)",
                        code: partition.errorCode, message: nil)
                }
                found[id] = FoundOffset(
                    offset: Offset(partition.offset),
                    timestamp: Timestamp(milliseconds: partition.timestamp))
            }
        }
        guard found.count == before + asked.count else {
            throw .refused(
                request: ListOffsetsRequest.name, subject: "\(asked.count) partitions",
                code: .unknownServerError, message: "the answer does not tell of all of them")
        }
    }
}

extension ListOffsetsRequest {
    fileprivate init(
        _ partitions: Set<TopicPartition>, _ wanted: Int64, isCommitted: Bool,
        _ view: ClusterView
    ) {
        self.init()
        replicaID = -1
        isolationLevel = isCommitted ? 1 : 0
        topics = Dictionary(grouping: partitions.sorted(), by: \.topic).sorted { $0.key < $1.key }
            .map { name, partitions in
                var topic = Topic()
                topic.name = name
                topic.partitions = partitions.map { id in
                    var partition = Partition()
                    partition.partitionIndex = id.partition
                    partition.currentLeaderEpoch = view.leader(of: id)?.epoch.rawValue ?? -1
                    partition.timestamp = wanted
                    return partition
                }
                return topic
            }
    }
}
