import Glibc
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
    private let publishedByteCount: Atomic<Int>
    private let wasUsed = Atomic<Bool>(false)
    private let maps = Mutex<Maps>(Maps())
    /// Bytes of address space a map of the log takes: what the file can grow to.
    private let mapByteCount: Int
    /// `index.interval.bytes`.
    let indexIntervalBytes: Int

    private struct Maps {
        var log: FileMapping?
        var offsetIndex: FileMapping?
        var timeIndex: FileMapping?
        var isEmpty: Bool { log == nil && offsetIndex == nil && timeIndex == nil }
    }

    /// - Parameters:
    ///   - byteCount: bytes that may be read now.
    ///   - byteCountMax: bytes the file may grow to.
    init(
        baseOffset: Offset, directory: String, environment: LogEnvironment,
        byteCount: Int, byteCountMax: Int, indexIntervalBytes: Int,
        indexes: SegmentIndexes = SegmentIndexes()
    ) {
        self.baseOffset = baseOffset
        self.directory = directory
        self.environment = environment
        let mode: OpenMode = environment.isReadOnly ? .read : .write
        let indexMode: OpenMode = environment.isReadOnly ? .read : .create
        let pool = environment.descriptors
        logFile = pool.file(Self.path(directory, baseOffset, .log), mode)
        offsetIndexFile = pool.file(Self.path(directory, baseOffset, .offsetIndex), indexMode)
        timeIndexFile = pool.file(Self.path(directory, baseOffset, .timeIndex), indexMode)
        self.indexes = Mutex(indexes)
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
                    throw Shortened(byteCount: Int64(range.lowerBound + memory.byteCount))
                }
                return SegmentBytes(
                    memory: memory, memoryStart: range.lowerBound, range: range)
            }
        } catch let error as FileError {
            throw .file(error)
        } catch let shortened as Shortened {
            throw corruption(
                at: Int(shortened.byteCount),
                "the file ends here, but \(range.upperBound) bytes of it were written")
        } catch {
            invariantFailure("an error of an unknown kind: \(error)")
        }
    }

    private struct Shortened: Error { var byteCount: Int64 }

    private func logMap() throws(FileError) -> FileMapping {
        try map(\.log, of: logFile, byteCount: mapByteCount)
    }

    /// The map of an index file's first bytes, checked to be there.
    func indexMap(
        of file: PooledFile, byteCount: Int
    ) throws(FileError) -> FileMapping {
        guard environment.readMode == .mapped else {
            // Somebody else may cut the file while we look at it.
            let copy = try file.copy(0..<byteCount)
            guard copy.byteCount == byteCount else {
                throw FileError(operation: "read the entries of", path: file.path, code: ESTALE)
            }
            return copy
        }
        let slot: any WritableKeyPath<Maps, FileMapping?> & Sendable =
            file === offsetIndexFile ? \.offsetIndex : \.timeIndex
        let wanted = max(byteCount, 64 << 10)
        var map = try map(slot, of: file, byteCount: wanted)
        if map.byteCount < byteCount {
            maps.withLock { $0[keyPath: slot] = nil }
            map = try self.map(slot, of: file, byteCount: wanted * 2)
        }
        try map.populate(0..<byteCount)
        return map
    }

    private func map(
        _ slot: any WritableKeyPath<Maps, FileMapping?> & Sendable, of file: PooledFile,
        byteCount: Int
    ) throws(FileError) -> FileMapping {
        wasUsed.store(true, ordering: .relaxed)
        var isFirst = false
        let map = try maps.withLock { maps throws(FileError) in
            if let map = maps[keyPath: slot] { return map }
            isFirst = maps.isEmpty
            let map = try file.map(byteCount: byteCount)
            maps[keyPath: slot] = map
            return map
        }
        if isFirst { environment.maps.admit(self) }
        return map
    }

    // MARK: The map pool's side

    func takeRecentUse() -> Bool { wasUsed.exchange(false, ordering: .relaxed) }

    func dropMaps() { maps.withLock { $0 = Maps() } }

    // MARK: Errors

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
