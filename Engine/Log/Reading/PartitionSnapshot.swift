package import TallyFiles
package import TallyRecords

/// A partition directory read from outside: without its lock, without any other file of the data
/// directory, and without changing a byte. The directory may be in use by a writer at the same
/// moment, be copied from elsewhere, or be written by Kafka.
///
/// It shows the log as it was at the last ``refresh()``: whole batches with sound checksums up to
/// the end of the last segment, or up to the first bytes there that are no such batch, where a
/// writer is at work or a crash left something. What the writer has not synced yet is shown too.
/// A value; used by one thread at a time, copies may go to others.
package struct PartitionSnapshot: Sendable {
    /// Topic and partition as the directory is named: `inventory-events-3`.
    package let name: String
    /// The partition's directory.
    package let directory: String
    /// The first offset that may be read.
    package private(set) var logStart: Offset
    /// The offset behind the last batch that may be read.
    package private(set) var logEnd: Offset
    /// What stands behind the last sound batch of the last segment; nil where nothing does.
    package private(set) var tail: Corruption?

    let environment: LogEnvironment
    /// Nothing before it is shown, whatever the segments hold.
    private let logStartMin: Offset
    private var held: [Held] = []

    private struct Held: Sendable {
        var segment: Segment
        var identity: FileIdentity
        /// Up to where the batches were walked, in the last segment.
        var walked = FilePosition.start
        /// How long the last segment's file was then.
        var fileByteCount = 0
    }

    /// Segments are listed and examined again when one goes while we look; more often than this
    /// something else is wrong.
    private static let attemptsMax = 5

    /// Looks at a directory.
    ///
    /// - Parameters:
    ///   - environment: from ``LogEnvironment/readOnly(on:openFilesMax:)``.
    ///   - logStart: offsets before it were deleted (`log-start-offset-checkpoint`).
    /// Throws ``LogError/file(_:)``.
    package init(
        opening directory: String, environment: LogEnvironment, logStart: Offset = .zero
    ) throws(LogError) {
        invariant(
            environment.isReadOnly && environment.readMode == .copied,
            "a snapshot changes nothing, and maps nothing that others may cut")
        self.directory = directory
        self.environment = environment
        name = directory.split(separator: "/").last.map { String($0) } ?? directory
        logStartMin = logStart
        self.logStart = logStart
        logEnd = logStart
        try refresh()
    }

    /// The segments, rising.
    package var segments: [Segment] { held.map(\.segment) }

    /// Bytes in all segments, without what stands behind the last sound batch.
    package var byteCount: Int { held.reduce(0) { $0 + $1.segment.byteCount } }

    /// Looks again: new batches, new segments, and segments that were retired or replaced.
    ///
    /// - Returns: whether there is anything new behind the old end.
    /// Throws ``LogError/file(_:)``; the snapshot is then as it was.
    @discardableResult
    package mutating func refresh() throws(LogError) -> Bool {
        let oldEnd = logEnd
        var attemptsLeft = Self.attemptsMax
        while true {
            attemptsLeft -= 1
            do throws(LogError) {
                var next = self
                try next.look()
                self = next
                return logEnd > oldEnd
            } catch {
                guard error.isOfChangingFiles, attemptsLeft > 0 else { throw error }
                // A file went, or became shorter, between two looks: the next one sees it whole.
                for index in held.indices { held[index].walked = .start }
                environment.fileSystem.pause(
                    milliseconds: 1 << UInt32(Self.attemptsMax - attemptsLeft))
            }
        }
    }

    private mutating func look() throws(LogError) {
        // Listed before the files are examined: a segment that is not the last of the list got
        // its last byte before the list was made.
        let names: [String]
        do throws(FileError) {
            names = try environment.fileSystem.list(directory)
        } catch {
            throw .file(error)
        }
        try requireNoSwap(names)
        let bases = SegmentName.baseOffsets(among: names)
        let old = held
        held = []
        for base in bases {
            let path = joinPath(directory, SegmentName.file(base, .log))
            let found: FileInformation?
            do throws(FileError) {
                found = try environment.fileSystem.information(path)
            } catch {
                throw .file(error)
            }
            // Retired meanwhile.
            guard let found else { continue }
            held.append(entry(base, found, isLast: base == bases.last, old))
        }
        guard let first = held.first else {
            tail = nil
            logStart = max(logStart, logEnd)
            return
        }
        logStart = max(logStartMin, first.segment.baseOffset)
        try walkLast(oldLast: old.last)
        logStart = min(logStart, logEnd)
    }

    /// While a cleaner puts segments in place of others some are missing: for a moment, or, after a
    /// crash, until somebody opens the log.
    private func requireNoSwap(_ names: [String]) throws(LogError) {
        let ending = SegmentName.Ending.log.rawValue + SegmentName.swapSuffix
        guard let swap = names.first(where: { $0.hasSuffix(ending) }) else { return }
        throw .corruption(
            Corruption(
                file: joinPath(directory, swap), position: .start,
                reason: "a log cleaner puts this file in place just now, or was interrupted: try "
                    + "again; if it stays, opening the data directory with an engine ends that"))
    }

    /// A segment seen before, where it is still the same file and has not become shorter, else a
    /// new one.
    private func entry(
        _ base: Offset, _ found: FileInformation, isLast: Bool, _ old: [Held]
    ) -> Held {
        let byteCount = Int(clamping: found.byteCount)
        if let known = old.last(where: { $0.segment.baseOffset == base }),
            known.identity == found.identity
        {
            let wasLast = known.segment === old.last?.segment
            if isLast, wasLast, known.walked.rawValue <= byteCount { return known }
            if !isLast, !wasLast, known.segment.byteCount == byteCount { return known }
        }
        // Also where the last segment was closed: its indexes are complete only now.
        let segment = Segment(
            baseOffset: base, directory: directory, environment: environment,
            byteCount: byteCount, byteCountMax: byteCount,
            indexIntervalBytes: LogConfiguration().indexIntervalBytes)
        return Held(segment: segment, identity: found.identity)
    }

    /// Finds the end of the log: checks the batches of the last segment that were not checked yet.
    private mutating func walkLast(oldLast: Held?) throws(LogError) {
        let last = held.count - 1
        let segment = held[last].segment
        let fileEnd: Int
        do throws(FileError) {
            fileEnd = Int(clamping: try segment.logFile.byteCount())
        } catch {
            throw .file(error)
        }
        var start = held[last].walked
        var least = logEnd
        let isNew = oldLast?.segment !== segment || start == .start
        if isNew {
            segment.publish(byteCount: fileEnd)
            start = try landing(in: segment)
            least = segment.baseOffset
        }
        var scanned = try scan(segment, from: start, to: fileEnd, expecting: least)
        if !isNew, scanned.batchCount == 0, scanned.damage != nil,
            held[last].fileByteCount != fileEnd
        {
            // What was written here is not the rest of what was seen: the writer may have cut the
            // file and begun anew below.
            segment.publish(byteCount: fileEnd)
            scanned = try scan(
                segment, from: try landing(in: segment), to: fileEnd,
                expecting: segment.baseOffset)
        }
        segment.publish(byteCount: scanned.position.rawValue)
        held[last].walked = scanned.position
        held[last].fileByteCount = fileEnd
        logEnd = scanned.nextOffset
        tail = scanned.damage.map { reason in
            Corruption(file: segment.path, position: scanned.position, reason: reason)
        }
    }

    private func scan(
        _ segment: Segment, from start: FilePosition, to end: Int, expecting least: Offset
    ) throws(LogError) -> ScanEnd {
        try segment.scan(
            from: start, to: FilePosition(max(end, start.rawValue)), expecting: least
        ) { (_, _, _) in
        }
    }

    /// A batch near the end of a segment, from where to walk: the one the last sound index entry
    /// leads to where that is one, else the first.
    private func landing(in segment: Segment) throws(LogError) -> FilePosition {
        guard let entry = try segment.readIndexFiles().offsets.last else { return .start }
        let position = FilePosition(Int(entry.position))
        var walk = BatchWalk(segment, from: position)
        guard case .batch(let found) = try walk.next(),
            found.header.baseOffset >= segment.baseOffset,
            found.header.baseOffset.rawValue - segment.baseOffset.rawValue
                <= Int64(entry.relativeOffset)
        else { return .start }
        do throws(RecordError) {
            try RecordBatch(found.bytes).verifyChecksum()
            return position
        } catch {
            return .start
        }
    }
}

extension LogEnvironment {
    /// What readers without a lock use: nothing is written, nothing mapped.
    ///
    /// - Parameter openFilesMax: descriptors kept open at most.
    package static func readOnly(
        on fileSystem: any FileSystem, openFilesMax: Int = 64
    ) -> LogEnvironment {
        LogEnvironment(
            fileSystem: fileSystem, openFilesMax: openFilesMax, readMode: .copied,
            isReadOnly: true)
    }
}

extension LogError {
    /// Whether this is how files look that somebody replaces, cuts or removes while they are
    /// read; looking again tells.
    package var isOfChangingFiles: Bool {
        switch self {
        case .file(let error): error.isAbsent || error.isStale
        case .corruption: true
        default: false
        }
    }
}
