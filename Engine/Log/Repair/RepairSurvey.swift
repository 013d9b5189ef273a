import TallyFiles
import TallyRecords

/// What a repair found in a partition directory; nothing was changed.
struct RepairSurvey {
    var names: [String]
    /// All that verifying tells.
    var report: LogReport
    /// Rising, as long as their files.
    var segments: [Segment]
    /// Where the log is damaged first.
    var damage: RepairDamage?
    /// The offset behind the last sound batch before any damage.
    var end = Offset.zero
    /// What `leader-epoch-checkpoint` says; what the batches say, where it says nothing.
    var epochs = LeaderEpochs()
    /// What the batches before any damage say.
    var batchEpochs = LeaderEpochs()
    /// The newest epoch of any batch that could be made out.
    var newestEpoch = LeaderEpoch.none
    /// Why `leader-epoch-checkpoint` has to be built from the batches; nil where it need not.
    var epochProblem: String?

    /// The part of the log that is sound, or that will be.
    struct Sound {
        var segments: [Segment]
        var end: Offset
        /// Where the last of them is to be cut; nil where it is whole.
        var cutPosition: FilePosition?
    }

    /// - Parameter isCutting: whether the log is to end at the damage; else the damaged segment
    ///   and those behind it are left out.
    func sound(isCutting: Bool) -> Sound {
        guard let damage else { return Sound(segments: segments, end: end) }
        let kept = damage.firstAside - 1
        let isDamaged = kept >= 0 && damage.file == segments[kept].path
        var sound = Sound(segments: Array(segments[..<damage.firstAside]), end: damage.offset)
        guard isDamaged, damage.byteCount > 0 else { return sound }
        sound.segments.removeLast()
        guard isCutting else { return sound }
        sound.cutPosition = damage.position
        sound.segments.append(segments[kept].shortened(to: damage.position))
        return sound
    }

    /// The first thing that is wrong with a file; nil where nothing is.
    func problem(with file: String) -> String? {
        report.problems.first { $0.file == file && $0.severity > .note }?.reason
    }
}

extension Segment {
    /// The same segment as if its file ended earlier; for looking only.
    func shortened(to end: FilePosition) -> Segment {
        Segment(
            baseOffset: baseOffset, directory: directory, environment: environment,
            byteCount: end.rawValue, byteCountMax: end.rawValue,
            indexIntervalBytes: indexIntervalBytes)
    }
}

extension LogRepair {
    /// Looks at everything.
    func survey() throws(LogError) -> RepairSurvey {
        let report = try LogVerifier(of: directory, environment: environment).verify()
        var survey = RepairSurvey(names: try list(), report: report, segments: [])
        for base in SegmentName.baseOffsets(among: survey.names) {
            if let segment = try segment(at: base, environment) { survey.segments.append(segment) }
        }
        var walk = RepairWalk(self, survey)
        try walk.walk()
        survey = walk.survey
        if survey.damage == nil { survey.damage = lostEnd(survey) }
        do throws(LogError) {
            survey.epochs = try LeaderEpochs.read(from: directory, on: fileSystem)
        } catch {
            guard case .corruption(let corruption) = error else { throw error }
            survey.epochProblem = corruption.reason
        }
        if survey.epochs.entries.isEmpty {
            if !survey.batchEpochs.entries.isEmpty {
                survey.epochProblem = survey.epochProblem ?? "it is missing or empty"
            }
            survey.epochs = survey.batchEpochs
        }
        return survey
    }

    /// The damage of a sound log that ends before what was stored once.
    private func lostEnd(_ survey: RepairSurvey) -> RepairDamage? {
        guard let checkpoint else { return nil }
        let last = survey.segments.last
        let end = last == nil ? checkpoint.logStart : survey.end
        guard end < checkpoint.recoveryPoint else { return nil }
        return RepairDamage(
            file: last?.path ?? directory, position: FilePosition(last?.byteCount ?? 0),
            reason: "the log ends at offset \(end), but offsets up to "
                + "\(checkpoint.recoveryPoint) were on stable storage",
            offset: end, byteCount: 0, segmentCount: 0, firstAside: survey.segments.count)
    }

    func list() throws(LogError) -> [String] {
        do { return try fileSystem.list(directory) } catch { throw .file(error) }
    }

    /// A segment as long as its file; nil where there is none.
    func segment(
        at base: Offset, _ environment: LogEnvironment
    ) throws(LogError) -> Segment? {
        let found: FileInformation?
        do { found = try fileSystem.information(path(base, .log)) } catch { throw .file(error) }
        return found.map {
            Segment(
                baseOffset: base, directory: directory, environment: environment,
                byteCount: Int(clamping: $0.byteCount), byteCountMax: Int(clamping: $0.byteCount),
                indexIntervalBytes: indexIntervalBytes)
        }
    }
}

/// The walk over all batches that finds where a log is damaged first. Used once.
private struct RepairWalk {
    let repair: LogRepair
    var survey: RepairSurvey
    /// Whether the segment before has gaps in its offsets, as compaction leaves them.
    private var hasGaps = false

    init(_ repair: LogRepair, _ survey: RepairSurvey) {
        self.repair = repair
        self.survey = survey
    }

    mutating func walk() throws(LogError) {
        survey.end = survey.segments.first?.baseOffset ?? .zero
        for index in survey.segments.indices {
            if survey.damage == nil, let reason = misplacement(of: index) {
                note(reason, at: .start, in: index, isWhole: true)
            }
            try walk(over: index)
        }
    }

    /// Why a segment cannot follow the one before it; nil where it can.
    private func misplacement(of index: Int) -> String? {
        guard index > 0 else { return nil }
        let base = survey.segments[index].baseOffset
        if base < survey.end {
            return "the segment begins before offset \(survey.end), where the last one ends"
        }
        // As the opening of an engine has it: segments below the recovery point may be apart.
        guard let stored = repair.checkpoint?.recoveryPoint, survey.end < stored, stored < base,
            !hasGaps
        else { return nil }
        return "offsets \(survey.end) to \(base) are missing before it; those up to \(stored) "
            + "were on stable storage"
    }

    private mutating func walk(over index: Int) throws(LogError) {
        let segment = survey.segments[index]
        let fileEnd = FilePosition(segment.byteCount)
        var found = try scan(segment, to: fileEnd, noting: survey.damage == nil)
        guard survey.damage == nil else { return }
        // Verifying sees more: records that are not what their batch says, a wrong base offset.
        let told = survey.report.problems.first {
            $0.severity == .damage && $0.file == segment.path
        }
        var reason = found.damage
        var isSeenByOpening = reason != nil
        if let told, told.position == found.position {
            reason = told.reason
        } else if let told, told.position < found.position || found.damage == nil {
            found = try scan(segment, to: told.position, noting: true)
            reason = told.reason
            isSeenByOpening = false
        }
        survey.end = max(survey.end, found.nextOffset)
        guard let reason else { return }
        note(reason, at: found.position, in: index, isWhole: false)
        if let stored = repair.checkpoint?.recoveryPoint, isSeenByOpening {
            survey.damage?.isCutByOpening = survey.end >= stored
        }
    }

    private mutating func scan(
        _ segment: Segment, to end: FilePosition, noting isNoting: Bool
    ) throws(LogError) -> ScanEnd {
        var epochs = survey.batchEpochs
        var newest = survey.newestEpoch
        var hasGaps = false
        var nextOffset: Offset?
        let found = try segment.scan(to: end, expecting: segment.baseOffset) { (header, _, _) in
            newest = max(newest, header.partitionLeaderEpoch)
            epochs.assign(header.partitionLeaderEpoch, startingAt: header.baseOffset)
            let isFull = Int64(header.recordCount) == Int64(header.lastOffsetDelta) + 1
            if !isFull || (nextOffset ?? header.baseOffset) != header.baseOffset { hasGaps = true }
            nextOffset = header.nextOffset
        }
        survey.newestEpoch = newest
        if isNoting {
            survey.batchEpochs = epochs
            self.hasGaps = hasGaps
        }
        return found
    }

    private mutating func note(
        _ reason: String, at position: FilePosition, in index: Int, isWhole: Bool
    ) {
        let rest = survey.segments[index...].map(\.byteCount).reduce(0, +)
        survey.damage = RepairDamage(
            file: survey.segments[index].path, position: position, reason: reason,
            offset: survey.end, byteCount: rest - position.rawValue,
            segmentCount: survey.segments.count - index, firstAside: isWhole ? index : index + 1)
    }
}
