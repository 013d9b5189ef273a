import TallyFiles
import TallyRecords

/// Recovery of a log that was not closed in order.
///
/// The kernel writes pages back in any order. Above the recovery point, therefore, the first
/// thing that is no sound batch ends the log, even where sound batches follow it, in the same
/// segment or in a later one. Below it everything was synced once, and damage means that the disk
/// or somebody else changed it: that stops the partition, and nothing is touched.
struct LogRecovery {
    private let opening: LogOpening
    private var end: LogEnd
    /// The newest epoch that was noted anywhere, be it of batches that are cut now.
    private var newestEpoch: LeaderEpoch
    /// Whether the segment before has gaps in its offsets, as compaction leaves them.
    private var hasGaps = false
    /// Whether something was found that is no sound batch.
    private var hasDamage = false
    /// A sync failed before: what was read may not be on the disk, whatever a sync says now.
    private let isInDoubt: Bool

    init(_ opening: LogOpening, epochs: LeaderEpochs, isInDoubt: Bool) {
        self.isInDoubt = isInDoubt
        self.opening = opening
        newestEpoch = epochs.latest ?? .none
        end = LogEnd(
            nextOffset: .zero, position: .start, epochs: epochs, epoch: LeaderEpoch(0))
        end.report.wasClean = false
    }

    private var recoveryPoint: Offset { opening.checkpoint.recoveryPoint }
    private var environment: LogEnvironment { opening.environment }

    /// One segment's batches, walked but not changed.
    private struct Finding {
        var resumed: ResumedSegment
        var scan: ScanEnd
    }

    /// Checks and mends the segments from the recovery point on. Segments behind the end of the
    /// log are put aside and leave the list. On return everything kept is on stable storage.
    mutating func recover(_ segments: inout [Segment]) throws(LogError) -> LogEnd {
        let first = segments.lastIndex { $0.baseOffset <= recoveryPoint } ?? 0
        end.nextOffset = segments[first].baseOffset
        var index = first
        var firstChecked = FilePosition.start
        while index < segments.count {
            if index > first, let reason = misplacement(of: segments[index]) {
                hasDamage = true
                try putAside(from: index, of: &segments, because: reason)
                break
            }
            let finding = try examine(segments[index])
            let isLast = index == segments.count - 1
            // Only the first segment reaches below the recovery point: from here on, changes.
            if index == first {
                try requireRecoveryPoint(finding, isLast: isLast)
                firstChecked = FilePosition(finding.resumed.skippedByteCount)
            }
            if let damage = finding.scan.damage {
                hasDamage = true
                // Later segments first: a crash in between must not leave them behind a hole.
                try putAside(from: index + 1, of: &segments, because: damage)
            }
            try mend(finding, isActive: index == segments.count - 1)
            index += 1
        }
        if isAllDurable {
            // The last segment may have been begun and not used yet.
            end.isDirectoryDirty = true
        } else {
            try makeDurable(segments[first...], from: firstChecked)
        }
        end.epochs.truncate(to: end.nextOffset)
        // Above every epoch ever noted: offsets that are cut now must not come back under the
        // epoch they were once read with.
        // A copy or a replica has the epochs of others, and offsets that are cut come again as they
        // were.
        let hasOthers = opening.configuration.hasEpochsOfOthers
        end.epoch = hasOthers ? max(end.epochs.latest ?? .none, LeaderEpoch(0)) : newestEpoch.next
        environment.report(
            .recovered(
                partition: opening.name, scannedByteCount: end.report.scannedByteCount,
                logEnd: end.nextOffset, epoch: end.epoch))
        return end
    }

    /// What is wrong with where a segment begins; nil when it follows the one before it.
    private func misplacement(of segment: Segment) -> String? {
        if segment.baseOffset == end.nextOffset { return nil }
        if segment.baseOffset < end.nextOffset {
            return "the segment begins before offset \(end.nextOffset), where the last one ends"
        }
        // Compaction takes the end of a segment; a crash takes it too.
        if hasGaps { return nil }
        return "offsets \(end.nextOffset) to \(segment.baseOffset) are missing before it"
    }

    /// Throws unless the segment with the recovery point reaches it.
    private func requireRecoveryPoint(
        _ finding: Finding, isLast: Bool
    ) throws(LogError) {
        guard finding.scan.nextOffset < recoveryPoint else { return }
        if finding.scan.damage == nil, hasGaps, !isLast { return }
        let reason = finding.scan.damage ?? "the log ends at offset \(finding.scan.nextOffset)"
        throw finding.resumed.segment.corruption(
            at: finding.scan.position.rawValue,
            "\(reason); offsets up to \(recoveryPoint) were on stable storage")
    }

    // MARK: One segment

    /// Walks one segment, from the index entry before the recovery point or from its start.
    private mutating func examine(_ segment: Segment) throws(LogError) -> Finding {
        var finding = try walk(ResumedSegment(segment, below: recoveryPoint))
        if finding.scan.damage != nil, finding.resumed.skippedByteCount > 0 {
            // Before anything is cut the index is left out of it: it is no evidence.
            finding = try walk(ResumedSegment(segment, below: .zero))
        }
        end.report.scannedSegmentCount += 1
        end.report.scannedByteCount +=
            finding.scan.position.rawValue - finding.resumed.skippedByteCount
        return finding
    }

    private mutating func walk(_ resumed: ResumedSegment) throws(LogError) -> Finding {
        var epochs = end.epochs
        var hasGaps = false
        var hasTransactions = end.hasTransactions
        var nextOffset: Offset?
        let fileEnd = FilePosition(resumed.segment.byteCount)
        let scan = try resumed.scan(to: fileEnd) { header in
            epochs.assign(header.partitionLeaderEpoch, startingAt: header.baseOffset)
            if header.attributes.isTransactional { hasTransactions = true }
            let isFull = Int64(header.recordCount) == Int64(header.lastOffsetDelta) + 1
            if !isFull || (nextOffset ?? header.baseOffset) != header.baseOffset { hasGaps = true }
            nextOffset = header.nextOffset
        }
        end.epochs = epochs
        end.hasTransactions = hasTransactions
        newestEpoch = max(newestEpoch, epochs.latest ?? .none)
        self.hasGaps = hasGaps
        return Finding(resumed: resumed, scan: scan)
    }

    /// Cuts off what is not sound, and makes the walked part that of the segment.
    private mutating func mend(_ finding: Finding, isActive: Bool) throws(LogError) {
        let segment = finding.resumed.segment
        let scan = finding.scan
        try finding.resumed.apply()
        if let damage = scan.damage {
            let cut = try SideFile(of: segment, on: environment).cut(at: scan.position)
            note(cut, at: scan.position, because: damage)
        }
        segment.publish(byteCount: scan.position.rawValue)
        end.nextOffset = max(end.nextOffset, scan.nextOffset)
        end.position = scan.position
        if !isActive {
            try segment.sealLog()
            if try !segment.sealIndexes() { end.unsealed.append(segment) }
        }
    }

    // MARK: Behind the end

    /// Renames the segments behind the end of the log, so that they are not part of it any more.
    private mutating func putAside(
        from index: Int, of segments: inout [Segment], because reason: String
    ) throws(LogError) {
        while segments.count > index, let last = segments.last {
            let cut = try SideFile(of: last, on: environment).takeAll()
            note(cut, at: .start, because: "an earlier segment ends the log: \(reason)")
            segments.removeLast()
        }
    }

    private mutating func note(
        _ cut: SideFile.Cut, at position: FilePosition, because reason: String
    ) {
        end.report.cutByteCount += cut.byteCount
        environment.report(
            .cutTail(
                partition: opening.name, file: cut.file, position: position,
                byteCount: cut.byteCount, keptIn: cut.keptIn, reason: reason))
    }

    /// Nothing is there but what a sync stored before: thousands of partitions that nobody wrote
    /// to are opened without a sync.
    private var isAllDurable: Bool {
        !isInDoubt && !hasDamage && end.nextOffset == recoveryPoint
    }

    /// Everything that was kept may be in the page cache only: readers see it from now on, so it
    /// must not vanish any more.
    private func makeDurable(
        _ segments: ArraySlice<Segment>, from firstChecked: FilePosition
    ) throws(LogError) {
        do {
            if isInDoubt {
                var position = firstChecked.rawValue
                for segment in segments {
                    try SyncDoubt.writeAgain(segment, from: position)
                    position = 0
                }
            }
            for segment in segments {
                try segment.logFile.withFile { (file) throws(FileError) in try file.sync() }
            }
            try environment.fileSystem.syncDirectory(opening.directory)
            try environment.fileSystem.syncDirectory(parentDirectory(of: opening.directory))
            if isInDoubt { try opening.doubt.clear() }
        } catch {
            throw .file(error)
        }
    }
}
