import Synchronization
package import TallyFiles
package import TallyRecords

/// What all partitions of one engine share: the file system, the bounded caches, the read mode,
/// and where events are reported. Immutable; its parts guard themselves.
package final class LogEnvironment: Sendable {
    package let fileSystem: any FileSystem
    package let descriptors: DescriptorPool
    package let maps: MapPool
    package let readMode: ReadMode
    /// Shut while appends must leave what little space there is to others.
    package let space = SpaceGate()
    /// Whether files may be changed at all; false for the inspector and other lock-free readers.
    package let isReadOnly: Bool
    package let report: @Sendable (LogEvent) -> Void
    /// How many times a log was synced: group commit makes it fewer than appends.
    let syncs = Atomic<Int>(0)
    /// The same as a number.
    package var syncCount: Int { syncs.load(ordering: .relaxed) }

    /// - Parameters:
    ///   - openFilesMax: descriptors kept open at most (those in use at the moment come on top).
    ///   - mapsMax: segments kept mapped at most (those held by readers come on top).
    package init(
        fileSystem: any FileSystem, openFilesMax: Int, mapsMax: Int = 8192,
        readMode: ReadMode = .mapped, isReadOnly: Bool = false,
        report: @escaping @Sendable (LogEvent) -> Void = { _ in }
    ) {
        self.fileSystem = fileSystem
        descriptors = DescriptorPool(fileSystem: fileSystem, openFilesMax: openFilesMax)
        maps = MapPool(segmentsMax: mapsMax)
        self.readMode = readMode
        self.isReadOnly = isReadOnly
        self.report = report
    }
}

/// Something that happened to a log and that somebody should be able to read about later.
package enum LogEvent: Hashable, Sendable, CustomStringConvertible {
    /// Bytes behind the last sound batch were cut off after a crash and kept in a side file.
    case cutTail(
        partition: String, file: String, position: FilePosition, byteCount: Int,
        keptIn: String?, reason: String)
    /// An index was missing or wrong and was built again from the log.
    case rebuiltIndexes(partition: String, file: String, reason: String)
    /// A segment was rolled.
    case rolled(partition: String, baseOffset: Offset)
    /// A partition was rescanned after an unclean stop.
    case recovered(partition: String, scannedByteCount: Int, logEnd: Offset, epoch: LeaderEpoch)
    /// Segments left the log because of their age, the log's size, or the log start.
    case retired(partition: String, RetentionReport)
    /// A cleaning that a crash had interrupted was brought to its end.
    case finishedCleaning(partition: String, from: Offset, to: Offset)
    /// A partition takes no appends any more.
    case stopped(partition: String, reason: String)

    package var description: String {
        switch self {
        case .cutTail(let partition, let file, let position, let byteCount, let keptIn, let why):
            """
            \(partition): cut \(byteCount) bytes from \(file) at byte \(position) (\(why)); \
            \(keptIn.map { "kept in \($0)" } ?? "they were all zero")
            """
        case .rebuiltIndexes(let partition, let file, let reason):
            "\(partition): rebuilt the indexes of \(file): \(reason)"
        case .rolled(let partition, let baseOffset):
            "\(partition): rolled a new segment at offset \(baseOffset)"
        case .recovered(let partition, let byteCount, let logEnd, let epoch):
            """
            \(partition): rescanned \(byteCount) bytes after an unclean stop; log end \
            \(logEnd), leader epoch \(epoch)
            """
        case .retired(let partition, let report):
            """
            \(partition): retired \(report.segmentCount) segments of \(report.byteCount) bytes; \
            the log starts at \(report.logStart)
            """
        case .finishedCleaning(let partition, let start, let end):
            """
            \(partition): put the cleaned segments with offsets \(start) to \(end) in place, as \
            the cleaner had begun to
            """
        case .stopped(let partition, let reason):
            "\(partition): takes no appends until reopened: \(reason)"
        }
    }
}
