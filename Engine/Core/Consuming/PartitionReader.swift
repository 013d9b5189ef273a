import Synchronization
import TallyGroups
import TallyLog
import TallyRecords

/// What a fetch led to.
enum Fetched: Sendable {
    case records(ConsumedRecords)
    case nothing
    case ended
}

/// Reads one partition for a consumer, from a position that it keeps.
///
/// Thread rule: any thread; ``fetch()`` by one at a time. What reads the log blocks.
final class PartitionReader: Sendable {
    let partition: Partition
    let log: PartitionLog
    private let configuration: ConsumerConfiguration
    private let state: Mutex<State>

    private struct State {
        var offset: Offset?
        var end: Offset?
        var near: ReadPosition?
        /// The epoch of the last record before the position; none where nothing was read.
        var epoch = LeaderEpoch.none
        /// The high watermark of the last fetch: what came later may be news.
        var seenEnd = Offset.zero
        /// Rises with each seek, so that a fetch under way does not undo it.
        var generation = 0
        /// Position and epoch before the last fetch.
        var before: (offset: Offset, epoch: LeaderEpoch)?
        /// Position and epoch inside the last fetch, while it is handed out record by record.
        var inside: (offset: Offset, epoch: LeaderEpoch)?
        var isPaused = false
        /// Taken away: nothing of it is handed out any more.
        var isRetired = false
    }

    /// - Parameter start: the first offset to read; nil where `configuration` says it.
    init(
        _ partition: Partition, log: PartitionLog, configuration: ConsumerConfiguration,
        start: Offset? = nil
    ) {
        self.partition = partition
        self.log = log
        self.configuration = configuration
        state = Mutex(State(offset: start))
    }

    /// Topic and number.
    var id: TopicPartition { TopicPartition(topic: partition.topic, partition: partition.index) }

    // MARK: Positions

    /// The next offset to read; nil where reading has not begun and nothing was sought.
    var position: Offset? { positionAndEpoch?.offset }

    /// The position with the epoch of the record before it, as a group commits it.
    var positionAndEpoch: (offset: Offset, epoch: LeaderEpoch)? {
        state.withLock { state in state.inside ?? state.offset.map { ($0, state.epoch) } }
    }

    /// Records between the position and the high watermark: an upper bound, since markers and
    /// compacted records count.
    var lag: Int64 {
        // Anything may have been sought: before the log's start there are no records.
        let start = max(position ?? log.logStart, log.logStart)
        return max(log.highWatermark.rawValue - start.rawValue, 0)
    }

    /// Whether it is passed over for now.
    var isPaused: Bool {
        get { state.withLock { $0.isPaused } }
        set { state.withLock { $0.isPaused = newValue } }
    }

    /// Goes on somewhere else.
    func seek(to target: StartingPosition) throws(LogError) {
        move(to: try Self.offset(of: target, in: log))
    }

    /// Begins at an offset, where nothing was sought meanwhile.
    func begin(at offset: Offset) {
        state.withLock { state in
            if state.offset == nil { state.offset = offset }
        }
    }

    private func move(to offset: Offset) {
        state.withLock { state in
            state.offset = offset
            state.near = nil
            state.epoch = .none
            state.inside = nil
            state.generation += 1
        }
    }

    static func offset(
        of target: StartingPosition, in log: PartitionLog
    ) throws(LogError) -> Offset {
        switch target {
        case .earliest: log.logStart
        case .latest: log.highWatermark
        case .offset(let offset): offset
        case .time(let time): try log.offset(forTimestamp: time)?.offset ?? log.highWatermark
        }
    }

    // MARK: Reading

    /// The next records. A position outside the log is thrown, or mended as `auto.offset.reset`
    /// says.
    func fetch() throws -> Fetched {
        // Again where the new position was retired before it was read.
        while true {
            do {
                return try fetchInside()
            } catch LogError.offsetOutOfRange(let range) {
                try reset(range)
            }
        }
    }

    private func reset(_ range: OffsetOutOfRange) throws(LogError) {
        let target = configuration.reset.target(
            of: range.requested, logStart: range.logStart, logEnd: range.logEnd)
        guard let target else { throw LogError.offsetOutOfRange(range) }
        let offset = try Self.offset(of: target, in: log)
        state.withLock { state in
            // Somebody sought elsewhere meanwhile: that counts.
            guard state.offset == range.requested else { return }
            state.offset = offset
            state.near = nil
            // Of the record that was read before, which is not the one before this position.
            state.epoch = .none
            state.generation += 1
        }
    }

    private func fetchInside() throws -> Fetched {
        let highWatermark = log.highWatermark
        let start = try state.withLock { state in
            if state.isRetired { return state }
            if let inside = state.inside {
                // Handed out record by record, and not to the end: what is left comes again.
                (state.offset, state.epoch) = (inside.offset, inside.epoch)
                state.inside = nil
                state.near = nil
                state.generation += 1
            }
            if state.offset == nil {
                state.offset = try Self.offset(of: configuration.start, in: log)
            }
            if configuration.end == .currentEnd, state.end == nil { state.end = highWatermark }
            state.seenEnd = highWatermark
            return state
        }
        guard let offset = start.offset, !start.isRetired else { return .nothing }
        // Behind the log's end there is nothing to be through with: reading says so.
        if let end = start.end, offset >= end, offset <= log.logEnd { return .ended }
        guard !start.isPaused else { return .nothing }
        guard let (slice, aborted) = try read(from: offset, near: start.near) else {
            return start.end == nil ? .nothing : .ended
        }
        let epoch = try check(slice)
        let moved = state.withLock { state in
            guard state.generation == start.generation else { return false }
            state.before = (offset, state.epoch)
            state.offset = slice.nextOffset
            state.near = slice.end
            state.epoch = epoch
            return true
        }
        // Somebody sought elsewhere meanwhile: what was fetched is not what comes next.
        guard moved else { return try fetchInside() }
        return .records(
            ConsumedRecords(
                topic: partition.topic, topicID: partition.topicID, partition: partition.index,
                startOffset: offset, nextOffset: slice.nextOffset, leaderEpoch: epoch,
                highWatermark: highWatermark, batches: .log(slice), aborted: aborted,
                generation: start.generation))
    }

    /// Batches, and the aborted transactions among them where they are not to be seen.
    private func read(
        from offset: Offset, near: ReadPosition?
    ) throws(LogError) -> (LogSlice, [AbortedTransaction])? {
        let isCommitted = configuration.isolation == .readCommitted
        let slice: LogSlice?
        do throws(LogError) {
            slice = try log.read(
                from: offset, bytesMax: configuration.fetchBytesMax,
                bound: isCommitted ? .lastStableOffset : .highWatermark, near: near)
        } catch {
            // A position between the last stable offset and the end is one to wait at.
            guard isCommitted, case .offsetOutOfRange = error, offset >= log.logStart,
                offset <= log.highWatermark
            else { throw error }
            return nil
        }
        guard let slice else { return nil }
        guard isCommitted else { return (slice, []) }
        return (slice, try log.abortedTransactions(in: offset..<slice.nextOffset))
    }

    /// Checks every batch before an application sees it. Returns the last one's epoch.
    private func check(_ slice: LogSlice) throws -> LeaderEpoch {
        var epoch = LeaderEpoch.none
        let bytes = slice.content.all
        var at = 0
        while at < bytes.byteCount {
            do {
                let batch = try RecordBatch(bytes, at: at)
                if configuration.isCheckingChecksums { try batch.verifyChecksum() }
                epoch = batch.header.partitionLeaderEpoch
                at += batch.header.sizeInBytes
            } catch {
                throw LogError.corruption(
                    Corruption(
                        file: slice.file, position: slice.position.advanced(by: at),
                        reason: "\(error)"))
            }
        }
        return epoch
    }

    /// Has the partition tell of what comes after the last fetch.
    func watch(for arrival: Arrival) {
        let mark = log.highWatermarkWatermark
        let seen = state.withLock { state in
            // Below an open transaction there is nothing to see until more is written: its end.
            configuration.isolation == .readCommitted
                ? max(state.offset ?? mark.offset, state.seenEnd) : state.offset ?? mark.offset
        }
        partition.arrivals.wake(arrival, behind: seen, of: mark)
        // Taken away meanwhile: whoever did that has removed the arrival, perhaps before this.
        if state.withLock({ $0.isRetired }) { partition.arrivals.remove(arrival) }
    }

    // MARK: Record by record

    /// The records of a fetch are about to be handed out one by one; false where they are not what
    /// comes next any more.
    func beginRecords(of records: ConsumedRecords) -> Bool {
        state.withLock { state in
            guard state.generation == records.generation else { return false }
            state.inside = state.before
            return true
        }
    }

    /// The position is behind this record from now on; false where it is not the next any more, or
    /// the partition is paused.
    func handOut(_ record: ConsumerRecord, of records: ConsumedRecords) -> Bool {
        state.withLock { state in
            guard state.generation == records.generation, !state.isPaused else { return false }
            state.inside = (record.nextOffset, record.leaderEpoch)
            return true
        }
    }

    /// All of a fetch was handed out: the position is behind it.
    func endRecords(of records: ConsumedRecords) {
        state.withLock { state in
            if state.generation == records.generation { state.inside = nil }
        }
    }

    /// The partition was taken away: nothing of it is handed out any more.
    func retire() {
        state.withLock { state in
            state.generation += 1
            state.isRetired = true
        }
    }
}
