import TallyFiles
package import TallyRecords

/// Checks all that can be checked about a partition directory, and changes nothing: every batch
/// with its checksum and its records, the order of offsets and epochs, file names, and whether
/// the files that are made from the log agree with it.
///
/// Needs no lock. On a live directory it checks what was there when it began; see
/// ``LogProblem/Severity`` for what a writer at work looks like. Memory does not grow with the
/// log, except for index files and the list of problems, which is bounded. Used once, by one
/// thread.
package struct LogVerifier: ~Copyable {
    let directory: String
    let environment: LogEnvironment
    var report: LogReport
    var decoder = RecordDecoder()
    var progress = Progress()
    /// Runs of batches of one leader epoch, rising.
    var epochRuns: [EpochRun] = []
    /// Problems of the file that is looked at now; and those beyond the limit.
    private var problemCounts: [String: Int] = [:]
    /// Called with the bytes of log that were checked since the last call.
    private let didCheck: (Int) -> Void

    /// What carries over from batch to batch.
    struct Progress {
        /// Offsets below it were seen.
        var nextOffset: Offset?
        /// Whether offsets are missing somewhere, as after compaction.
        var hasGaps = false
        /// Whether some are missing within a segment.
        var hasInnerGaps = false
        /// Segments in front of which offsets are missing, and those before them.
        var holes: [(before: Offset, after: Offset, nextOffset: Offset)] = []
        /// Whether some part of the log could not be walked: what is made from the log cannot be
        /// held against it any more.
        var isIncomplete = false
    }

    struct EpochRun {
        var epoch: LeaderEpoch
        var first: Offset
        var last: Offset
        var file: String
        var position: FilePosition
    }

    /// - Parameters:
    ///   - environment: from ``LogEnvironment/readOnly(on:openFilesMax:)``.
    ///   - didCheck: told now and then how many more bytes of log were checked.
    package init(
        of directory: String, environment: LogEnvironment,
        didCheck: @escaping (Int) -> Void = { _ in }
    ) {
        self.directory = directory
        self.environment = environment
        self.didCheck = didCheck
        let name = directory.split(separator: "/").last.map { String($0) } ?? directory
        report = LogReport(partition: name)
    }

    /// Looks at everything.
    ///
    /// - Parameter only: the segment to look at, with its files; nil for the whole partition.
    /// Throws ``LogError/file(_:)`` where something cannot be read at all; what is wrong with what
    /// can be read stands in the report.
    package consuming func verify(only: Offset? = nil) throws(LogError) -> LogReport {
        let names: [String]
        do throws(FileError) {
            names = try environment.fileSystem.list(directory)
        } catch {
            throw .file(error)
        }
        let bases = SegmentName.baseOffsets(among: names)
        if only == nil { checkNames(names, bases) }
        for base in bases where only == nil || base == only {
            try check(segmentAt: base, isLast: base == bases.last)
        }
        if only == nil {
            try checkHoles()
            try checkSnapshots(names)
            try checkEpochs()
            try checkMetadata()
        }
        for (file, count) in problemCounts.sorted(by: { $0.key < $1.key })
        where count > LogReport.problemsMax {
            report.problems.append(
                LogProblem(
                    severity: .mendable, file: file, position: .start,
                    reason: "\(count - LogReport.problemsMax) more problems are not listed"))
        }
        return report
    }

    // MARK: Noting

    mutating func note(
        _ severity: LogProblem.Severity, _ file: String, at position: Int = 0, _ reason: String
    ) {
        let count = problemCounts[file, default: 0] + 1
        problemCounts[file] = count
        guard count <= LogReport.problemsMax else { return }
        report.problems.append(
            LogProblem(
                severity: severity, file: file, position: FilePosition(position), reason: reason))
    }

    func tellChecked(byteCount: Int) { didCheck(byteCount) }

    func path(_ base: Offset, _ ending: SegmentName.Ending) -> String {
        joinPath(directory, SegmentName.file(base, ending))
    }

    /// The bytes of a small file; nil where there is none.
    func contents(of path: String, byteCountMax: Int) throws(LogError) -> [UInt8]? {
        do throws(FileError) {
            return try environment.fileSystem.readWhole(path, byteCountMax: byteCountMax)
        } catch {
            throw .file(error)
        }
    }

    func information(_ path: String) throws(LogError) -> FileInformation? {
        do throws(FileError) {
            return try environment.fileSystem.information(path)
        } catch {
            throw .file(error)
        }
    }
}
