import Foundation
import Tally
import TallyClient

/// Partitions on their way from a cluster to a data directory. Used by one task.
struct PartitionCopies {
    /// What is done about a partition whose next records the cluster has no more.
    enum BehindPolicy { case refuse, beginAnew }

    private let cluster: ClusterClient
    private let engine: Engine
    private let source: String
    private let behind: BehindPolicy
    private let reader: LogReader
    /// How far each of them is here, and which bytes of it may not be on stable storage yet.
    private var copies: [TopicPartition: Copy] = [:]
    /// Bytes that were copied.
    private(set) var byteCount: Int64 = 0

    private struct Copy {
        var logStart: Offset
        var logEnd: Offset
        /// Where it ended in the cluster when that told last; nil before.
        var sourceEnd: Offset?
        var unstoredByteCount = 0
        var isEmpty: Bool { logStart == logEnd }
    }

    /// As much is copied before it is stored, where nobody waits for it.
    private static let unstoredByteCountMax = 32 << 20

    init(_ copy: TopicCopy, behind: BehindPolicy, waitMilliseconds: Int32 = 500) {
        cluster = copy.cluster
        engine = copy.engine
        source = copy.source
        self.behind = behind
        var settings = LogReaderConfiguration()
        settings.bytesMax = 16 << 20
        settings.waitMilliseconds = waitMilliseconds
        reader = LogReader(copy.cluster, configuration: settings)
    }

    /// Where the copies end, by partition.
    var logEnds: [TopicPartition: Offset] { copies.mapValues(\.logEnd) }

    /// Whether each of them has what the cluster had when it told last.
    var isCaughtUp: Bool {
        !copies.isEmpty && copies.values.allSatisfy { $0.logEnd >= $0.sourceEnd ?? Offset(.max) }
    }

    // MARK: Where to begin

    /// Copies a partition from where its copy ends, from now on.
    ///
    /// - Parameter bounds: where it begins and ends in the cluster.
    mutating func add(_ id: TopicPartition, _ bounds: ClosedRange<Offset>) async throws {
        let found = try engine.describePartition(id)
        if let problem = found.problem { throw CommandFailure("\(id): \(problem)") }
        var copy = Copy(logStart: found.logStart, logEnd: found.logEnd)
        if copy.isEmpty {
            if copy.logEnd != bounds.lowerBound {
                try await engine.restartCopy(of: id, at: bounds.lowerBound)
                copy = Copy(logStart: bounds.lowerBound, logEnd: bounds.lowerBound)
            }
        } else {
            try await verify(id, bounds)
        }
        copies[id] = copy
        if !copy.isEmpty, copy.logEnd < bounds.lowerBound {
            try await goOn(id, behind: bounds)
        } else {
            await reader.read(id, from: copy.logEnd)
        }
    }

    /// Throws where what a partition has here is seen to be something else than what the cluster
    /// has.
    func verify(_ id: TopicPartition, _ bounds: ClosedRange<Offset>) async throws {
        let found = try engine.describePartition(id)
        guard found.logStart < found.logEnd else { return }
        guard found.logEnd <= bounds.upperBound else {
            throw CommandFailure(
                "\(id) ends at offset \(found.logEnd) here and at \(bounds.upperBound) in "
                    + "\(source): it is no copy of that any more. Delete the topic to copy it "
                    + "anew, or keep it with `tally promote`.")
        }
        if found.logEnd >= bounds.lowerBound { try await requireSame(id, found.logEnd) }
    }

    /// The cluster has no more what would come next.
    private mutating func goOn(
        _ id: TopicPartition, behind bounds: ClosedRange<Offset>
    ) async throws {
        guard let copy = copies[id] else { return }
        guard copy.logEnd <= bounds.upperBound else {
            throw CommandFailure(
                "\(id) has lost records in \(source): it ends there at offset "
                    + "\(bounds.upperBound), and here at \(copy.logEnd).")
        }
        let gap = "\(id): \(source) begins at offset \(bounds.lowerBound) now, and the copy ends "
        switch behind {
        case .refuse:
            throw CommandFailure(
                gap + "at \(copy.logEnd): what lies between is gone. Delete the topic here to "
                    + "begin anew, or keep it as it is with `tally promote`.")
        case .beginAnew:
            Console.note(
                gap + "at \(copy.logEnd). What lies between is gone; the copy begins anew there.")
            try await engine.restartCopy(of: id, at: bounds.lowerBound)
            copies[id] = Copy(logStart: bounds.lowerBound, logEnd: bounds.lowerBound)
            await reader.read(id, from: bounds.lowerBound)
        }
    }

    /// Throws where the last batch here is another one in the cluster. A batch that compaction has
    /// taken there, or thinned out, proves nothing.
    private func requireSame(_ id: TopicPartition, _ end: Offset) async throws {
        let last = end.advanced(by: -1)
        guard let mine = try await engine.batch(holding: last, of: id),
            let theirs = try await sourceBatch(from: last, of: id)
        else { return }
        let isCompacted = try engine.describeTopic(id.topic).configuration.isCompacted
        let (here, there) = try (
            RecordBatchHeader(decoding: mine.rawSpan), RecordBatchHeader(decoding: theirs.rawSpan)
        )
        guard there.baseOffset <= last else { return }
        guard here.isSameBatch(as: there, mayBeCompacted: isCompacted) else {
            throw CommandFailure(
                "\(id): the batch at offset \(here.baseOffset) is another one than that of "
                    + "\(source): it is no copy of that any more. Delete the topic to copy it "
                    + "anew, or keep it as it is with `tally promote`.")
        }
    }

    private func sourceBatch(from offset: Offset, of id: TopicPartition) async throws -> [UInt8]? {
        var settings = LogReaderConfiguration()
        settings.partitionBytesMax = 1
        let reader = LogReader(cluster, configuration: settings)
        await reader.read(id, from: offset)
        while true {
            for event in try await reader.next() {
                guard case .fetched(let fetched) = event, !fetched.batches.isEmpty else {
                    return nil
                }
                return Array(fetched.batches)
            }
        }
    }

    // MARK: Copying

    /// Takes over what the next answer of a broker has.
    ///
    /// - Parameter isStored: whether readers shall see it at once.
    mutating func step(isStored: Bool) async throws {
        for event in try await reader.next() {
            switch event {
            case .fetched(let fetched): try await take(fetched, isStored: isStored)
            case .outOfRange(let id, _): try await goOn(id, behind: try await bounds(of: id))
            case .replaced(let id):
                throw CommandFailure(
                    "topic \(id.topic) was deleted in \(source), and another one has its name. "
                        + "Keep what is here with `tally promote`, or delete it.")
            }
        }
    }

    private func bounds(of id: TopicPartition) async throws -> ClosedRange<Offset> {
        let start = try await cluster.offsets(of: [id], at: .logStart)[id] ?? .zero
        let end = try await cluster.offsets(of: [id], at: .end)[id] ?? .zero
        return start...max(start, end)
    }

    private mutating func take(_ fetched: FetchedPartition, isStored: Bool) async throws {
        let id = fetched.partition
        guard var copy = copies[id] else { return }
        copy.sourceEnd = fetched.highWatermark
        if !fetched.batches.isEmpty {
            let first = try RecordBatchHeader(
                decoding: Array(fetched.batches.prefix(RecordBatchHeader.byteCount)).rawSpan)
            let beginsInBatch = copy.isEmpty && first.baseOffset < copy.logEnd
            if beginsInBatch { try await engine.restartCopy(of: id, at: first.baseOffset) }
            copy.logEnd = try await engine.appendCopy(
                of: fetched.batches, to: id, isStored: isStored || beginsInBatch)
            byteCount += Int64(fetched.batches.count)
            copy.unstoredByteCount += isStored ? 0 : fetched.batches.count
            if beginsInBatch {
                try await engine.deleteRecords(
                    ofTopic: id.topic, partition: id.partition, before: copy.logStart)
            } else if copy.unstoredByteCount > Self.unstoredByteCountMax {
                try await engine.storeCopy(of: id)
                copy.unstoredByteCount = 0
            }
        }
        copies[id] = copy
        try await trim(id, to: fetched.logStart)
    }

    /// Lets go of what the cluster has let go of.
    private mutating func trim(_ id: TopicPartition, to logStart: Offset?) async throws {
        guard let copy = copies[id], let logStart, logStart > copy.logStart,
            logStart <= copy.logEnd
        else { return }
        try await engine.storeCopy(of: id)
        try await engine.deleteRecords(
            ofTopic: id.topic, partition: id.partition, before: logStart)
        copies[id]?.logStart = logStart
        copies[id]?.unstoredByteCount = 0
    }

    /// Puts everything that was copied on stable storage.
    mutating func store() async throws {
        for (id, copy) in copies where copy.unstoredByteCount > 0 {
            try await engine.storeCopy(of: id)
            copies[id]?.unstoredByteCount = 0
        }
    }

    func close() async { await reader.close() }
}

extension RecordBatchHeader {
    /// Whether two batches of two logs are one, as far as headers and checksums tell.
    fileprivate func isSameBatch(
        as other: RecordBatchHeader, mayBeCompacted: Bool
    ) -> Bool {
        baseOffset == other.baseOffset && lastOffset == other.lastOffset
            && partitionLeaderEpoch == other.partitionLeaderEpoch
            && producerID == other.producerID && producerEpoch == other.producerEpoch
            && baseSequence == other.baseSequence
            && (mayBeCompacted || checksum == other.checksum)
    }
}

extension Engine {
    /// A partition at this moment. Throws ``EngineError`` where it is not there.
    func describePartition(_ id: TopicPartition) throws(EngineError) -> PartitionDescription {
        let partitions = try describeTopic(id.topic).partitions
        guard let found = partitions.first(where: { $0.index == id.partition }) else {
            throw .unknownPartition(
                topic: id.topic, partition: id.partition, count: partitions.count)
        }
        return found
    }
}
