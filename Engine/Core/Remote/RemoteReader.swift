import DequeModule
import TallyLog
import TallyRecords

/// Where a consumer stands in one partition of a cluster, and what was fetched of it. A value.
struct RemoteReader {
    /// Which of all that the consumer ever had.
    let number: Int
    /// The next offset to hand out; nil where reading has not begun and nothing was sought.
    private(set) var position: Offset?
    /// Where the sequence ends; nil where it does not.
    private var end: Offset?
    /// The epoch of the last record before the position; none where nothing was read.
    private var epoch = LeaderEpoch.none
    /// Rises with each move: what was fetched for an earlier one is not what comes next.
    private(set) var generation = 0
    /// Position and epoch before the last fetch that was handed out.
    private(set) var before: (offset: Offset, epoch: LeaderEpoch)?
    /// Position and epoch inside of it, while it is handed out record by record.
    var inside: (offset: Offset, epoch: LeaderEpoch)?
    var isPaused = false
    /// The position, where it is not in the log.
    private(set) var outside: Offset?
    private(set) var highWatermark = Offset.zero
    private var kept: Deque<RemoteBatches> = []
    private(set) var keptByteCount = 0
    /// What the fetcher was told last: the generation, and whether to read.
    private var told: (generation: Int, isFetched: Bool) = (0, false)
    /// Where the fetcher goes on.
    private var fetchPosition = Offset.zero

    init(number: Int) { self.number = number }

    /// The position with the epoch of the record before it, as a group commits it.
    var positionAndEpoch: (offset: Offset, epoch: LeaderEpoch)? {
        inside ?? position.map { ($0, epoch) }
    }

    var needsPosition: Bool { position == nil }
    /// Whether nobody has said where it ends, if it does.
    var needsEnd: Bool { end == nil }

    var hasEnded: Bool {
        guard let end, let position else { return false }
        return position >= end
    }

    /// Whether the fetcher is to read it.
    var isFetched: Bool { position != nil && !isPaused && outside == nil && !hasEnded }

    /// The end that there was at first counts.
    mutating func noteEnd(_ offset: Offset) { end = end ?? offset }

    mutating func move(to offset: Offset) {
        generation += 1
        position = offset
        epoch = .none
        inside = nil
        outside = nil
        fetchPosition = offset
        drop()
    }

    private mutating func drop() {
        kept = []
        keptByteCount = 0
    }

    /// What the fetcher is to be told: an offset to read from, nil to stop; nothing where it knows.
    mutating func takeOrder() -> Offset?? {
        guard told != (generation, isFetched) else { return nil }
        let wasFetched = told.isFetched
        told = (generation, isFetched)
        if isFetched { return .some(fetchPosition) }
        return wasFetched ? .some(nil) : nil
    }

    /// Keeps what was fetched, unless it is of before a move.
    mutating func keep(_ batches: RemoteBatches) {
        guard told.generation == generation, told.isFetched else { return }
        highWatermark = batches.highWatermark
        guard !batches.bytes.isEmpty else { return }
        fetchPosition = batches.nextOffset
        kept.append(batches)
        keptByteCount += batches.bytes.count
    }

    mutating func noteOutside(_ requested: Offset) {
        if told.generation == generation, kept.isEmpty { outside = requested }
    }

    /// The next batches to be handed out, with where they begin.
    ///
    /// Throws ``LogError/corruption(_:)``.
    mutating func take(
        _ id: TopicPartition, _ topicID: TopicID?, _ configuration: ConsumerConfiguration
    ) throws -> ConsumedRecords? {
        if let inside {
            // Handed out record by record, and not to the end: what is left comes again.
            let epoch = inside.epoch
            move(to: inside.offset)
            self.epoch = epoch
            return nil
        }
        guard !isPaused, !hasEnded, let start = position, let batches = kept.popFirst() else {
            return nil
        }
        keptByteCount -= batches.bytes.count
        let survey = try BatchSurvey(batches, of: id, configuration)
        before = (start, epoch)
        position = batches.nextOffset
        epoch = survey.epoch
        return ConsumedRecords(
            topic: id.topic, topicID: topicID ?? TopicID(high: 0, low: 0),
            partition: id.partition, startOffset: start, nextOffset: batches.nextOffset,
            leaderEpoch: survey.epoch, highWatermark: batches.highWatermark,
            batches: .copied(batches.bytes), aborted: survey.aborted, generation: generation)
    }
}

extension RemoteReaders.State {
    @discardableResult
    mutating func move(_ id: TopicPartition, to offset: Offset) -> Bool {
        guard let reader = readers[id] else { return false }
        keptByteCount -= reader.keptByteCount
        readers[id]?.move(to: offset)
        return true
    }

    mutating func takeOrders() -> [(TopicPartition, Offset?)] {
        // Those that are not read any more too: the fetcher still knows them.
        var orders: [(TopicPartition, Offset?)] = removed.map { ($0, nil) }
        removed = []
        for id in readers.keys.sorted() {
            if let order = readers[id]?.takeOrder() { orders.append((id, order)) }
        }
        return orders
    }

    mutating func keep(_ fetch: RemoteFetch) {
        switch fetch {
        case .fetched(let batches):
            guard let before = readers[batches.partition]?.keptByteCount else { return }
            readers[batches.partition]?.keep(batches)
            let now = readers[batches.partition]?.keptByteCount ?? before
            keptByteCount += now - before
        case .outOfRange(let id, let requested): readers[id]?.noteOutside(requested)
        case .replaced(let id): failure = EngineError.topicReplaced(name: id.topic)
        }
    }

    /// Records of the next partition that has some.
    mutating func take(_ configuration: ConsumerConfiguration) throws -> Fetched {
        for id in order {
            guard let reader = readers[id] else { continue }
            let before = reader.keptByteCount
            let records = try readers[id]?.take(id, topicIDs[id.topic], configuration)
            keptByteCount += (readers[id]?.keptByteCount ?? 0) - before
            if readers[id]?.generation != reader.generation { hasMoved = true }
            guard let records else { continue }
            order.removeAll { $0 == id }
            order.append(id)
            return .records(records)
        }
        let hasEnded = !readers.isEmpty && readers.values.allSatisfy(\.hasEnded)
        return hasEnded ? .ended : .nothing
    }
}

/// A look at all batches of a fetch before an application sees them. A value.
private struct BatchSurvey {
    /// The last batch's.
    var epoch = LeaderEpoch.none
    /// Ranges of transactions that were aborted.
    var aborted: [AbortedTransaction] = []

    /// Throws ``LogError/corruption(_:)`` where a batch is not what was sent.
    init(
        _ batches: RemoteBatches, of id: TopicPartition, _ configuration: ConsumerConfiguration
    ) throws {
        var markers: [Int64: [Offset]] = [:]
        var decoder = RecordDecoder()
        var at = 0
        while at < batches.bytes.count {
            do {
                let batch = try RecordBatch(batches.bytes.rawSpan, at: at)
                if configuration.isCheckingChecksums { try batch.verifyChecksum() }
                let header = batch.header
                epoch = header.partitionLeaderEpoch
                at += header.sizeInBytes
                guard header.attributes.isControl, !batches.aborted.isEmpty,
                    case .abort = try decoder.controlRecord(of: batch)?.kind
                else { continue }
                markers[header.producerID, default: []].append(header.baseOffset)
            } catch {
                throw LogError.corruption(
                    Corruption(
                        file: "\(id), fetched", position: FilePosition(at), reason: "\(error)"))
            }
        }
        guard configuration.isolation == .readCommitted else { return }
        aborted = batches.aborted.map { producerID, first in
            // Its marker may come with a later fetch.
            let last = markers[producerID]?.first { $0 > first } ?? Offset(.max)
            return AbortedTransaction(
                producerID: producerID, firstOffset: first, lastOffset: last,
                lastStableOffset: last)
        }
    }
}
