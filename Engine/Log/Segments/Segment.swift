import Synchronization
package import TallyFiles
package import TallyRecords

/// One segment of a partition: a `.log` file, its two indexes, and how much of it may be read.
///
/// Thread rule: any thread may read; only the partition's writer (under its lock) appends and
/// publishes.
package final class Segment: Sendable {
    package let baseOffset: Offset
    package let directory: String
    let environment: LogEnvironment
    let logFile: PooledFile
    let offsetIndexFile: PooledFile
    let timeIndexFile: PooledFile
    /// Index entries and what is known of the index files.
    let indexes: Mutex<SegmentIndexes>
    /// Aborted transactions whose markers lie here.
    let transactions: Mutex<TransactionIndex>
    private let publishedByteCount: Atomic<Int>
    private let wasUsed = Atomic<Bool>(false)
    private let maps = Mutex<Maps>(Maps())
    /// Bytes of address space a map of the log takes: what the file can grow to.
    private let mapByteCount: Int
    /// `index.interval.bytes`.
    let indexIntervalBytes: Int

    /// The files of a segment that are mapped.
    enum MapSlot: Int, CaseIterable { case log, offsetIndex, timeIndex }

    private struct Maps {
        private var bySlot: InlineArray<3, FileMapping?> = .init(repeating: nil)
        private(set) var isEmpty = true
        /// The log's map that was dropped last: readers may hold it still.
        private(set) weak var dropped: FileMapping?

        mutating func drop() {
            let log = self[.log] ?? dropped
            self = Maps()
            dropped = log
        }

        subscript(slot: MapSlot) -> FileMapping? {
            get { bySlot[slot.rawValue] }
            set {
                bySlot[slot.rawValue] = newValue
                if newValue != nil { isEmpty = false }
            }
        }
    }

    /// - Parameters:
    ///   - byteCount: bytes that may be read now.
    ///   - byteCountMax: bytes the file may grow to.
    ///   - isNew: whether the file is created when it is first used.
    ///   - suffix: what follows the usual name of the log file.
    init(
        baseOffset: Offset, directory: String, environment: LogEnvironment,
        byteCount: Int, byteCountMax: Int, indexIntervalBytes: Int, isNew: Bool = false,
        suffix: String = "", indexes: SegmentIndexes = SegmentIndexes()
    ) {
        self.baseOffset = baseOffset
        self.directory = directory
        self.environment = environment
        let mode: OpenMode = environment.isReadOnly ? .read : isNew ? .create : .write
        let indexMode: OpenMode = environment.isReadOnly ? .read : .create
        let pool = environment.descriptors
        logFile = pool.file(Self.path(directory, baseOffset, .log) + suffix, mode)
        offsetIndexFile = pool.file(
            Self.path(directory, baseOffset, .offsetIndex), indexMode, isExpendable: true)
        timeIndexFile = pool.file(
            Self.path(directory, baseOffset, .timeIndex), indexMode, isExpendable: true)
        self.indexes = Mutex(indexes)
        transactions = Mutex(isNew ? .empty : TransactionIndex())
        publishedByteCount = Atomic(byteCount)
        self.indexIntervalBytes = indexIntervalBytes
        mapByteCount = max(byteCount, byteCountMax, 1)
    }

    private static func path(
        _ directory: String, _ baseOffset: Offset, _ ending: SegmentName.Ending
    ) -> String {
        joinPath(directory, SegmentName.file(baseOffset, ending))
    }

    /// Bytes that hold whole, published batches. Readers touch nothing behind them.
    package var byteCount: Int { publishedByteCount.load(ordering: .acquiring) }

    /// Lets readers see everything before `byteCount`.
    func publish(byteCount: Int) { publishedByteCount.store(byteCount, ordering: .releasing) }

    /// The path of the `.log` file.
    package var path: String { logFile.path }

    /// Topic and partition, as the directory is named.
    var partitionName: String { lastPathComponent(directory) }

    /// Creates the file of an empty segment; it survives a crash once the directory is synced.
    static func create(
        at baseOffset: Offset, in directory: String, environment: LogEnvironment,
        configuration: LogConfiguration
    ) throws(LogError) -> Segment {
        let segment = Segment(
            baseOffset: baseOffset, directory: directory, environment: environment, byteCount: 0,
            byteCountMax: configuration.segmentBytesMax,
            indexIntervalBytes: configuration.indexIntervalBytes, isNew: true,
            indexes: SegmentIndexes(
                emptyAt: baseOffset, intervalBytes: configuration.indexIntervalBytes))
        let byteCount: Int64
        do {
            byteCount = try segment.logFile.byteCount()
        } catch {
            throw .file(error)
        }
        guard byteCount == 0 else {
            throw segment.corruption(at: 0, "a new segment would take the place of this file")
        }
        return segment
    }

    // MARK: Bytes

    /// The bytes of a range of the log file, checked to be there: the file is still long enough
    /// and, where they are mapped, the pages could be read.
    ///
    /// Throws ``LogError/corruption(_:)`` when somebody else made the file shorter, and
    /// ``LogError/file(_:)`` when the disk cannot read it.
    package func load(_ range: Range<Int>) throws(LogError) -> SegmentBytes {
        do {
            switch environment.readMode {
            case .mapped:
                let map = try logMap()
                let byteCount = try logFile.byteCount()
                guard byteCount >= range.upperBound else { throw Shortened(byteCount: byteCount) }
                try map.populate(range)
                return SegmentBytes(memory: map, memoryStart: 0, range: range)
            case .copied:
                let memory = try logFile.copy(range)
                guard memory.byteCount == range.count else {
                    // Asked, since it may end before the range begins.
                    throw Shortened(byteCount: try logFile.byteCount())
                }
                return SegmentBytes(
                    memory: memory, memoryStart: range.lowerBound, range: range)
            }
        } catch let error as FileError {
            throw .file(error)
        } catch let shortened as Shortened {
            throw self.shortened(to: Int(shortened.byteCount), range)
        } catch {
            invariantFailure("an error of an unknown kind: \(error)")
        }
    }

    private struct Shortened: Error { var byteCount: Int64 }

    private func logMap() throws(FileError) -> FileMapping {
        try map(.log) { (_) throws(FileError) in try logFile.map(byteCount: mapByteCount) }
    }

    /// The first bytes of an index file, checked to be there: mapped, or copied where that is how
    /// segments are read. Called with the index lock held, so that the file is not replaced
    /// meanwhile.
    func indexMap(_ slot: MapSlot, byteCount: Int) throws(FileError) -> FileMapping {
        let file = slot == .timeIndex ? timeIndexFile : offsetIndexFile
        let isCopied = environment.readMode == .copied
        let map = try map(slot) { (old) throws(FileError) in
            if let old, old.byteCount >= byteCount { return old }
            if isCopied { return try file.copy(0..<byteCount) }
            // Room for what is still to come, so that a growing index is not mapped anew each time.
            let map = try file.map(byteCount: max(2 * byteCount, 64 << 10))
            try map.populate(0..<byteCount)
            return map
        }
        if !isCopied {
            // What shows through a map must be there still.
            guard try file.byteCount() >= byteCount else { throw .shortened(file.path) }
        }
        guard map.byteCount >= byteCount else { throw .shortened(file.path) }
        return map
    }

    /// The map in a slot; `make` gets the one that is there and gives the one to keep.
    private func map(
        _ slot: MapSlot, _ make: (FileMapping?) throws(FileError) -> FileMapping
    ) throws(FileError) -> FileMapping {
        wasUsed.store(true, ordering: .relaxed)
        var isFirst = false
        let map = try maps.withLock { maps throws(FileError) in
            let old = maps[slot]
            if slot == .log, let old { return old }
            let map = try make(old)
            if map !== old {
                isFirst = maps.isEmpty
                maps[slot] = map
            }
            return map
        }
        if isFirst { environment.maps.admit(self) }
        return map
    }

    /// Forgets the maps of index files that were replaced.
    func dropIndexMaps() {
        maps.withLock { maps in
            maps[.offsetIndex] = nil
            maps[.timeIndex] = nil
        }
    }

    // MARK: The map pool's side

    func takeRecentUse() -> Bool { wasUsed.exchange(false, ordering: .relaxed) }

    /// The map of the log that readers may hold, where there is one now.
    var mappedLog: FileMapping? { maps.withLock { $0[.log] ?? $0.dropped } }

    func dropMaps() { maps.withLock { $0.drop() } }

    /// Closes the files, now or when they are no longer used; what was not synced stays in doubt.
    func abandonFiles() {
        logFile.abandon()
        offsetIndexFile.abandon()
        timeIndexFile.abandon()
    }

    // MARK: Errors

    /// The log file ends before a range of it that was written.
    func shortened(to byteCount: Int, _ range: Range<Int>) -> LogError {
        corruption(
            at: byteCount, "the file ends here, but \(range.upperBound) bytes of it were written")
    }

    /// A corruption of this segment's log file.
    func corruption(at position: Int, _ reason: String) -> LogError {
        .corruption(Corruption(file: path, position: FilePosition(position), reason: reason))
    }
}

/// A range of a segment's bytes that was checked to be there; a copyable handle that keeps the
/// memory alive. Safe to share between threads: the bytes never change.
package struct SegmentBytes: Sendable {
    @usableFromInline let memory: FileMapping
    @usableFromInline let memoryStart: Int
    /// File positions that may be touched.
    package let range: Range<Int>

    init(memory: FileMapping, memoryStart: Int, range: Range<Int>) {
        self.memory = memory
        self.memoryStart = memoryStart
        self.range = range
    }

    /// The bytes at these file positions, which must lie in ``range``.
    @inlinable
    @_lifetime(borrow self)
    package func bytes(_ positions: Range<Int>) -> RawSpan {
        memory.bytes(positions.lowerBound - memoryStart..<positions.upperBound - memoryStart)
    }

    /// All of the bytes.
    @inlinable
    package var all: RawSpan {
        @_lifetime(borrow self) get { bytes(range) }
    }
}
