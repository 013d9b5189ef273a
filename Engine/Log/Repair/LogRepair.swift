package import TallyFiles
package import TallyRecords

/// Repairs a partition directory that no engine has open: builds again what is made from the log
/// (indexes, transaction indexes, snapshots of producers, leader epochs that are lost), and ends a
/// damaged log at the damage, when it is told that offset.
///
/// First a plan, which changes nothing; then the plan is applied. Its steps come in such an order
/// that a crash or a full disk between any two leaves a directory that an opening of the engine,
/// or another repair, takes further:
///
/// Before a byte of the log goes, the checkpoints come down, or the next opening would miss what
/// they say was stored; a new leader epoch is noted, since offsets will be given out again; and
/// what speaks of offsets from there on (snapshots, transaction index) goes. An opening that finds
/// the rest undone ends the log at the same place by itself. Later segments go newest first.
///
/// Nobody else may change the directory meanwhile: the caller holds the data directory's lock,
/// where there is one. Used by one thread.
package struct LogRepair {
    let directory: String
    let fileSystem: any FileSystem
    /// What the data directory says; nil for a directory that was copied from one.
    let checkpoint: PartitionCheckpoint?
    let indexIntervalBytes: Int
    /// For looking: it changes nothing.
    let environment: LogEnvironment

    /// - Parameters:
    ///   - checkpoint: nil where there is no data directory around it: then everything counts as
    ///     having been stored once.
    ///   - indexIntervalBytes: `index.interval.bytes` of what is rebuilt.
    package init(
        of directory: String, on fileSystem: any FileSystem, checkpoint: PartitionCheckpoint?,
        indexIntervalBytes: Int = LogConfiguration().indexIntervalBytes
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.checkpoint = checkpoint
        self.indexIntervalBytes = indexIntervalBytes
        environment = .readOnly(on: fileSystem)
    }

    /// What is to be done. Reads every batch.
    ///
    /// - Parameter cutOffset: the log may be ended there; taken only where that is the damage.
    /// Throws ``LogError/file(_:)`` where something cannot be read at all.
    package func plan(cuttingFrom cutOffset: Offset? = nil) throws(LogError) -> RepairPlan {
        let survey = try survey()
        var plan = RepairPlan(
            partition: lastPathComponent(directory), directory: directory, damage: survey.damage)
        let problems = survey.report.problems.filter { $0.severity > .note }
        if let swap = survey.names.first(where: { $0.hasSuffix(".swap") }) {
            // What seems to be missing lies in such files.
            plan.damage = nil
            plan.leftAlone = problems
            plan.refusal = cutOffset.map { _ in
                "\(swap) is part of a cleaning that was interrupted; open the engine first, which "
                    + "ends it; where the engine finds that file damaged, restore it from a copy"
            }
            return plan
        }
        plan.refusal = refusal(of: cutOffset, survey)
        guard plan.refusal == nil else { return plan }
        plan.isCutting = cutOffset != nil
        let sound = survey.sound(isCutting: plan.isCutting)
        if plan.isCutting, let damage = survey.damage {
            plan.steps = cutSteps(at: damage, survey, sound)
        } else if survey.damage?.isCutByOpening ?? true, let reason = survey.epochProblem {
            plan.steps.append(.writeEpochs(survey.batchEpochs, reason: reason))
        }
        try addIndexSteps(to: &plan, survey, sound)
        try addSnapshotSteps(to: &plan, survey, sound)
        plan.leftAlone = problems.filter { !isCovered($0, plan, survey) }
        // Where a segment is missing they are what is left to tell of it.
        if !plan.leftAlone.contains(where: { $0.severity == .damage }) {
            let strays = strays(survey)
            plan.steps += strays
            plan.leftAlone.removeAll { problem in strays.contains(.removeFile(problem.file)) }
        }
        return plan
    }

    private func refusal(of offset: Offset?, _ survey: RepairSurvey) -> String? {
        guard let offset else { return nil }
        guard let damage = survey.damage else {
            return "the log is sound up to its end at offset \(survey.end): nothing is to be cut"
        }
        guard offset == damage.offset else {
            return """
                offset \(offset) is not where the log is damaged: its last sound batch ends \
                before offset \(damage.offset), at byte \(damage.position) of \(damage.file) \
                (\(damage.reason)). Only --cut-from \(damage.offset) mends it
                """
        }
        return nil
    }

    // MARK: Steps

    private func cutSteps(
        at damage: RepairDamage, _ survey: RepairSurvey, _ sound: RepairSurvey.Sound
    ) -> [RepairStep] {
        var steps: [RepairStep] = []
        if checkpoint != nil { steps.append(.lowerCheckpoints(to: damage.offset)) }
        var epochs = survey.epochs
        epochs.truncate(to: damage.offset)
        // Above every epoch there was: offsets that are cut must not come back under the epoch
        // they were once read with.
        epochs.assign(
            max(survey.newestEpoch, survey.epochs.latest ?? .none).next,
            startingAt: damage.offset)
        steps.append(
            .writeEpochs(epochs, reason: "what is written from \(damage.offset) on is new"))
        let behind = ProducerSnapshot.offsets(among: survey.names).filter { $0 > damage.offset }
        if !behind.isEmpty {
            steps.append(.removeSnapshots(behind, reason: "they lie behind the new end"))
        }
        let isKept = damage.firstAside > 0 && sound.cutPosition != nil
        let cut = isKept ? survey.segments[damage.firstAside - 1] : nil
        if let cut, survey.names.contains(SegmentName.file(cut.baseOffset, .transactionIndex)) {
            steps.append(
                .rebuildTransactionIndex(
                    cut.baseOffset, upTo: damage.position, reason: "the log ends within it"))
        }
        for segment in survey.segments[damage.firstAside...].reversed() {
            steps.append(.putAside(segment.baseOffset, byteCount: segment.byteCount))
        }
        if let cut {
            let byteCount = cut.byteCount - damage.position.rawValue
            steps.append(.cut(cut.baseOffset, at: damage.position, byteCount: byteCount))
            steps.append(.rebuildIndexes(cut.baseOffset, reason: "the log ends within it"))
        }
        return steps
    }

    private func addIndexSteps(
        to plan: inout RepairPlan, _ survey: RepairSurvey, _ sound: RepairSurvey.Sound
    ) throws(LogError) {
        for (index, segment) in sound.segments.enumerated() {
            let isLast = segment === survey.segments.last
            let isCut = sound.cutPosition != nil && index == sound.segments.count - 1
            let base = segment.baseOffset
            if !isCut, let reason = try indexProblem(of: segment, isLast: isLast, survey) {
                plan.steps.append(.rebuildIndexes(base, reason: reason))
            }
            let isDone = plan.steps.contains { step in
                if case .rebuildTransactionIndex(base, _, _) = step { true } else { false }
            }
            if !isDone, let reason = survey.problem(with: path(base, .transactionIndex)) {
                plan.steps.append(
                    .rebuildTransactionIndex(
                        base, upTo: isCut ? sound.cutPosition : nil, reason: reason))
            }
        }
    }

    /// Why a sound segment's indexes have to be built again; nil where they are in order.
    private func indexProblem(
        of segment: Segment, isLast: Bool, _ survey: RepairSurvey
    ) throws(LogError) -> String? {
        let base = segment.baseOffset
        // The segment that a crash left as the last may have neither all files nor all entries.
        let isDue = !isLast || checkpoint?.isClean ?? true
        for ending in [SegmentName.Ending.offsetIndex, .timeIndex] {
            if let problem = survey.problem(with: path(base, ending)) { return problem }
            guard !survey.names.contains(SegmentName.file(base, ending)) else { continue }
            let hasEntries = try !segment.encodedIndexes().offsets.isEmpty
            if isDue || hasEntries { return "\(SegmentName.file(base, ending)) is missing" }
        }
        // What verifying lets pass, since entries may be few: an index that is of no use.
        let found = try segment.readIndexFiles()
        let end = FilePosition(segment.byteCount)
        if let problem = try segment.problem(with: found.offsets, upTo: end) { return problem }
        guard isDue else { return nil }
        return try segment.problem(with: found.times, found.offsets, upTo: end)
    }

    private func addSnapshotSteps(
        to plan: inout RepairPlan, _ survey: RepairSurvey, _ sound: RepairSurvey.Sound
    ) throws(LogError) {
        // A log without any segment may have been retired as a whole, and know its producers.
        guard !survey.segments.isEmpty else { return }
        let isWhole = survey.damage == nil || plan.isCutting
        let bases = Set(sound.segments.dropFirst().map(\.baseOffset))
        var newest: Offset?
        for offset in ProducerSnapshot.offsets(among: survey.names) {
            if offset > sound.end {
                guard survey.damage == nil else { continue }
                let reason = "it lies behind the log's end at \(survey.end)"
                plan.steps.append(.removeSnapshots([offset], reason: reason))
                continue
            }
            if try isSoundSnapshot(offset) {
                newest = offset
                continue
            }
            let name = SegmentName.file(offset, .producerSnapshot)
            let reason =
                survey.problem(with: joinPath(directory, name))
                ?? "it speaks of what lies behind it"
            let hasPlace = bases.contains(offset) || isWhole && offset == sound.end
            if hasPlace, sound.segments.contains(where: { $0.baseOffset < offset }) {
                plan.steps.append(.writeSnapshot(offset, reason: reason))
                newest = offset
            } else {
                plan.steps.append(.removeSnapshots([offset], reason: reason))
            }
        }
        guard isWhole, let last = sound.segments.last?.baseOffset, bases.contains(last),
            newest ?? Offset(-1) < last
        else { return }
        // As a roll makes it; where there never was a producer, nobody misses it.
        let isKnown = try !producers(at: last, in: sound.segments).producers.isEmpty
        if isKnown {
            plan.steps.append(
                .writeSnapshot(
                    last, reason: "it is missing: the log would be read to know its producers"))
        }
    }

    private func isSoundSnapshot(_ offset: Offset) throws(LogError) -> Bool {
        do {
            return try ProducerSnapshot.read(directory, at: offset, on: fileSystem) != nil
        } catch {
            throw .file(error)
        }
    }

    /// What is known of the producers at an offset, from sound segments, one of which begins
    /// before it.
    func producers(
        at offset: Offset, in segments: [Segment]
    ) throws(LogError) -> ProducerStates {
        try ProducerStateLoader(
            directory: directory, environment: environment,
            segments: segments.filter { $0.baseOffset < offset }, limit: offset
        ).load().states
    }

    /// Index files without a segment: they would seem to belong to one that is made there later.
    private func strays(_ survey: RepairSurvey) -> [RepairStep] {
        let bases = Set(survey.segments.map(\.baseOffset))
        let endings: [SegmentName.Ending] = [.offsetIndex, .timeIndex, .transactionIndex]
        return survey.names.filter { name in
            endings.contains { ending in
                SegmentName.baseOffset(of: name, ending).map { !bases.contains($0) } ?? false
            }
        }.map { .removeFile(joinPath(directory, $0)) }
    }

    // MARK: What is left

    /// Whether a problem goes with the steps, or with the damage that is told of anyway.
    private func isCovered(
        _ problem: LogProblem, _ plan: RepairPlan, _ survey: RepairSurvey
    ) -> Bool {
        if let damage = plan.damage, let base = segmentBase(of: problem.file),
            let first = survey.segments.indices.contains(damage.firstAside - 1)
                ? survey.segments[damage.firstAside - 1].baseOffset
                : survey.segments.first?.baseOffset, base >= first
        {
            return true
        }
        return plan.steps.contains { step in
            switch step {
            case .rebuildIndexes(let base, _):
                [path(base, .offsetIndex), path(base, .timeIndex)].contains(problem.file)
            case .rebuildTransactionIndex(let base, _, _):
                path(base, .transactionIndex) == problem.file
            case .writeSnapshot(let offset, _): path(offset, .producerSnapshot) == problem.file
            case .removeSnapshots(let offsets, _):
                offsets.contains { path($0, .producerSnapshot) == problem.file }
            case .writeEpochs: problem.file == joinPath(directory, LeaderEpochs.fileName)
            case .lowerCheckpoints, .putAside, .cut, .removeFile: false
            }
        }
    }

    private func segmentBase(of file: String) -> Offset? {
        SegmentName.Ending.allCases.lazy.compactMap {
            SegmentName.baseOffset(of: lastPathComponent(file), $0)
        }.first
    }

    func path(_ base: Offset, _ ending: SegmentName.Ending) -> String {
        joinPath(directory, SegmentName.file(base, ending))
    }
}
