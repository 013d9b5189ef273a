import TallyLog
import TallyRecords

/// Which records of a log stay, by their keys: the newest of each key in the dirty part, and those
/// in the clean part whose keys do not occur in the dirty part. A value, used by one thread.
struct DirtyKeys: ~Copyable {
    /// Where the dirty part begins.
    let start: Offset
    /// Where it ends; what lies from there on stays.
    fileprivate(set) var end: Offset
    private let hasher = KeyHasher.random()
    private var map: KeyMap
    private var latest: LatestOffsets
    /// Records whose keys are not in the map yet. The map is larger than a processor's cache:
    /// entering many keys in one short loop lets it wait for many of them at the same time.
    private var waiting: [(hash: KeyHash, offset: Offset)] = []
    private static let waitingMax = 512

    /// Of the memory for keys, this part is for ``LatestOffsets``.
    private static let latestPart = 8

    /// - Parameter byteCountMax: `log.cleaner.dedupe.buffer.size`.
    fileprivate init(from start: Offset, byteCountMax: Int) {
        self.start = start
        end = start
        let latestByteCount = byteCountMax / Self.latestPart
        map = KeyMap(byteCountMax: byteCountMax - latestByteCount)
        latest = LatestOffsets(byteCountMax: latestByteCount)
        waiting.reserveCapacity(Self.waitingMax)
    }

    /// Different keys.
    var count: Int { map.count }

    /// Notes a record of the dirty part; false where there is no room for it, or for one before
    /// it: then ``end`` is the offset of that.
    fileprivate mutating func note(_ record: borrowing RecordView) -> Bool {
        guard latest.insert(record.offset) else {
            end = record.offset
            _ = enterWaiting()
            return false
        }
        guard let key = record.key else { return true }
        waiting.append((hasher.hash(key), record.offset))
        return waiting.count < Self.waitingMax || enterWaiting()
    }

    /// Enters the keys of records that were noted; false where there is no room for all.
    fileprivate mutating func enterWaiting() -> Bool {
        defer { waiting.removeAll(keepingCapacity: true) }
        for record in waiting {
            switch map.put(record.hash, record.offset) {
            case .added: continue
            case .replaced(let older): latest.remove(older)
            case .full:
                end = record.offset
                return false
            }
        }
        return true
    }

    /// Whether a batch holds no record that stays.
    func isAllOld(_ header: RecordBatchHeader) -> Bool {
        header.baseOffset >= start && header.lastOffset < end
            && !latest.containsAny(of: header.baseOffset...header.lastOffset)
    }

    /// Whether a record is the newest of its key. One without a key is nobody's older one.
    func isLatest(_ record: borrowing RecordView) -> Bool {
        if record.offset >= end { return true }
        if record.offset >= start { return latest.contains(record.offset) }
        guard map.count > 0, let key = record.key else { return true }
        return map.offset(of: hasher.hash(key)) == nil
    }
}

/// Gathers the keys of the dirty part of a log, as many of them as there is room for. Used once.
struct DirtyKeysReader: ~Copyable {
    private let scope: CleaningScope
    private let log: PartitionLog
    private let pace: Pace
    private var keys: DirtyKeys
    private var decoder = RecordDecoder()
    private var transactions: TransactionFilter

    init(_ scope: CleaningScope, of log: PartitionLog, byteCountMax: Int, pace: Pace) {
        self.log = log
        self.scope = scope
        self.pace = pace
        keys = DirtyKeys(from: scope.firstDirty, byteCountMax: byteCountMax)
        transactions = TransactionFilter(scope.aborted)
    }

    /// Reads the dirty part.
    ///
    /// - Parameter byteCount: what is read is added, also where that fails.
    /// Throws ``LogError/corruption(_:)``, ``LogError/notCleanable(partition:reason:)``, and what
    /// `pace` throws.
    consuming func read(counting byteCount: inout Int) throws(LogError) -> DirtyKeys {
        let first = scope.segments.lastIndex { $0.baseOffset <= scope.firstDirty } ?? 0
        for segment in scope.segments[first...] {
            guard try read(segment, counting: &byteCount) else { return keys }
        }
        guard keys.enterWaiting() else { return keys }
        keys.end = max(scope.end, keys.start)
        return keys
    }

    /// False where there is no room for more.
    private mutating func read(
        _ segment: Segment, counting byteCount: inout Int
    ) throws(LogError) -> Bool {
        let limit = FilePosition(segment.byteCount)
        let start = try segment.position(reaching: scope.firstDirty) ?? limit
        let scanned = try segment.walk(from: start, to: limit, expecting: segment.baseOffset) {
            (header, position, bytes) throws(LogError) -> ScanStep in
            try pace.moved(header.sizeInBytes, of: log)
            byteCount += header.sizeInBytes
            let outcome: Outcome
            do throws(RecordError) {
                outcome = try note(RecordBatch(bytes))
            } catch {
                throw segment.notReadable(at: position, error)
            }
            switch outcome {
            case .noted: return .goOn
            case .full: return .stop
            case .unknownAbort: throw segment.unknownAbort(header)
            }
        }
        if let damage = scanned.damage {
            throw segment.corrupted(at: scanned.position, damage)
        }
        return !scanned.isStopped
    }

    private enum Outcome {
        case noted
        case full
        /// Records were aborted and nothing said so: they were taken for committed.
        case unknownAbort
    }

    private mutating func note(_ batch: borrowing RecordBatch) throws(RecordError) -> Outcome {
        let header = batch.header
        guard header.lastOffset >= keys.start else { return .noted }
        if header.attributes.isControl {
            let control = try decoder.controlRecord(of: batch)
            if transactions.isUnknown(marker: header, control) { return .unknownAbort }
            _ = transactions.isUnneeded(marker: header, control)
        } else if !transactions.isAborted(header) {
            guard try Self.note(batch, &decoder, in: &keys) else { return .full }
        }
        return .noted
    }

    /// Notes the records of a batch; false where there is no room for all.
    private static func note(
        _ batch: borrowing RecordBatch, _ decoder: inout RecordDecoder, in keys: inout DirtyKeys
    ) throws(RecordError) -> Bool {
        var cursor = try decoder.records(of: batch)
        while let record = try cursor.next() {
            guard record.offset >= keys.start else { continue }
            guard keys.note(record) else { return false }
        }
        return true
    }
}
