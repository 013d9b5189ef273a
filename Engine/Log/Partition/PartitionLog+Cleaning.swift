import Synchronization
package import TallyRecords

/// What a cleaner may look at, and what it has to know of the log.
package struct CleaningScope: Sendable {
    /// Closed segments from the front of the log, rising, all of whose records are decided and on
    /// stable storage; nobody appends to them any more.
    package var segments: [Segment]
    /// Where the last cleaning ended: the newest record of each key before it is known to be the
    /// only one there.
    package var firstDirty: Offset
    /// The offset behind the last of the segments.
    package var end: Offset
    /// The first offset of the log that can be read.
    package var logStart: Offset
    /// The end of the whole log.
    package var logEnd: Offset
    /// What has to stay of each producer that is known.
    package var producers: [Int64: ProducerTail]
    /// Aborted transactions with records before ``end``.
    package var aborted: [AbortedTransaction]

    /// The newest thing that a producer wrote: what its sequences go on from.
    package struct ProducerTail: Hashable, Sendable {
        /// The last offset of its newest batch; nil where it wrote only markers in its epoch.
        package var lastOffset: Offset?
        /// Its epoch.
        package var epoch: Int16
    }
}

/// How much of a log a cleaning would look at now, and whether it is time for one.
package struct CleaningSurvey: Sendable {
    /// Bytes of the segments before and from the first dirty offset on; a segment that lies on
    /// both sides counts as dirty.
    package var byteCounts = (clean: 0, dirty: 0)
    /// Whether more of it is dirty than `min.cleanable.dirty.ratio` allows.
    package var isDue = false
    /// Whether the oldest dirty record waits longer than `max.compaction.lag.ms`.
    package var isOverdue = false

    /// The part of the bytes that is dirty: 0 to 1.
    package var dirtyRatio: Double {
        let all = byteCounts.clean + byteCounts.dirty
        return all == 0 ? 0 : Double(byteCounts.dirty) / Double(all)
    }
}

extension PartitionLog {
    /// Whether `cleanup.policy` has `compact`.
    package var isCompacting: Bool { configuration.isCompacting }

    /// `delete.retention.ms`.
    package var deleteRetentionMilliseconds: Int64 { configuration.deleteRetentionMilliseconds }

    /// Where the last cleaning ended; the log start where there was none.
    package var firstDirtyOffset: Offset {
        let noted = Offset(cleanedEndValue.load(ordering: .acquiring))
        return min(max(noted, logStart), logEnd)
    }

    /// Runs one cleaning; another one, and ``close()``, wait for its end.
    ///
    /// Throws ``LogError/closed(partition:)`` where the log is closed already.
    package func withCleaning<Result>(
        _ body: () throws(LogError) -> Result
    ) throws(LogError) -> Result {
        try cleaning.withLock { _ throws(LogError) in
            if isClosing { throw .closed(partition: name) }
            return try body()
        }
    }

    /// Whether the log is being closed: a cleaning should end.
    package var isClosing: Bool { closingValue.load(ordering: .acquiring) }

    /// Looks whether it is time for a cleaning: at the sizes of segments and a few headers, and at
    /// what is known of producers only where there is something to clean. Syncs nothing.
    ///
    /// - Parameter now: what the compaction lags count back from.
    /// Throws ``LogError/corruption(_:)`` and ``LogError/file(_:)``.
    package func cleaningSurvey(now: Timestamp) throws(LogError) -> CleaningSurvey {
        var survey = CleaningSurvey()
        let list = segments
        let firstDirty = firstDirtyOffset
        guard list.count > 1 else { return survey }
        let isDirty = list[list.count - 1].baseOffset > firstDirty
        let cleanable =
            isDirty
            ? try cleanableSegments(now: now)
            : (segments: Array(list.dropLast()), end: list[list.count - 1].baseOffset)
        var firstDirtySegment: Segment?
        for (index, segment) in cleanable.segments.enumerated() {
            let isLast = index + 1 == cleanable.segments.count
            let next = isLast ? cleanable.end : cleanable.segments[index + 1].baseOffset
            if next <= firstDirty {
                survey.byteCounts.clean += segment.byteCount
            } else {
                survey.byteCounts.dirty += segment.byteCount
                firstDirtySegment = firstDirtySegment ?? segment
            }
        }
        guard let firstDirtySegment else { return survey }
        survey.isDue = survey.dirtyRatio > configuration.cleanableDirtyRatioMin
        let lag = configuration.compactionLagMillisecondsMax
        if lag < .max, let first = try firstDirtySegment.firstTimestamp() {
            let age = now.rawValue.subtractingReportingOverflow(first.rawValue)
            survey.isOverdue = !age.overflow && age.partialValue > lag
        }
        return survey
    }

    /// Closed segments from the front of the log whose records are decided, on stable storage and
    /// old enough, and where the last of them ends.
    private func cleanableSegments(
        now: Timestamp
    ) throws(LogError) -> (segments: [Segment], end: Offset) {
        let bound = min(try lastStableOffset(), recoveryPoint)
        let list = segments
        let firstDirty = firstDirtyOffset
        // Those that wait for space to be sealed have files that are not complete.
        let unsealed = writer.withLock { Set($0.unsealed.map { ObjectIdentifier($0) }) }
        var end = list[0].baseOffset
        var cleanable: [Segment] = []
        for (segment, next) in zip(list, list.dropFirst()) {
            guard next.baseOffset <= bound, !unsealed.contains(ObjectIdentifier(segment)) else {
                break
            }
            if next.baseOffset > firstDirty, try isTooYoung(segment, now) { break }
            cleanable.append(segment)
            end = next.baseOffset
        }
        return (cleanable, end)
    }

    private func isTooYoung(_ segment: Segment, _ now: Timestamp) throws(LogError) -> Bool {
        let lag = configuration.compactionLagMillisecondsMin
        guard lag > 0, let largest = try segment.largestTimestamp() else { return false }
        let age = now.rawValue.subtractingReportingOverflow(largest.rawValue)
        return age.overflow ? age.partialValue > 0 : age.partialValue < lag
    }

    /// What can be cleaned now. Puts the log and what is known of its producers on stable storage
    /// first, so that nothing that a cleaning goes by can be lost behind its back.
    ///
    /// - Parameter now: what `min.compaction.lag.ms` counts back from.
    /// Throws ``LogError/corruption(_:)``, ``LogError/file(_:)``,
    /// ``LogError/stopped(partition:reason:)``.
    package func cleaningScope(now: Timestamp) throws(LogError) -> CleaningScope {
        try storeProducers(isRequired: true)
        try prepareCleaning()
        let found = try cleanableSegments(now: now)
        let states = try producerStates()
        let producers = states.map { state in
            let tail = CleaningScope.ProducerTail(
                lastOffset: state.batches.last?.lastOffset, epoch: state.epoch)
            return (state.producerID, tail)
        }
        let start = found.segments.first?.baseOffset ?? found.end
        return CleaningScope(
            segments: found.segments, firstDirty: firstDirtyOffset, end: found.end,
            logStart: logStart, logEnd: logEnd,
            producers: Dictionary(uniqueKeysWithValues: producers),
            aborted: try gatherAborted(in: start..<max(start, found.end)))
    }

    /// Whether segments are all the log's still.
    package func holds(_ wanted: ArraySlice<Segment>) -> Bool {
        let held = Set(segments.map { ObjectIdentifier($0) })
        return wanted.allSatisfy { held.contains(ObjectIdentifier($0)) }
    }

    /// Notes that everything before an offset was looked at, by a cleaning that began with
    /// ``cleaningScope(now:)``. What was truncated meanwhile and comes anew was not.
    package func noteCleaned(upTo offset: Offset) {
        retiring.withLock { retired in
            let end = min(offset, retired.truncatedTo ?? offset)
            _ = cleanedEndValue.max(end.rawValue, ordering: .acquiringAndReleasing)
        }
    }

    /// What is taken back and comes anew was not looked at. Called with the `retiring` lock held.
    func noteUncleaned(from offset: Offset, _ retired: inout Retired) {
        retired.truncatedTo = min(retired.truncatedTo ?? offset, offset)
        _ = cleanedEndValue.min(offset.rawValue, ordering: .acquiringAndReleasing)
    }

    /// How segments are put together: as many of them, one behind the other, as one segment may
    /// hold.
    package func groups(of scope: CleaningScope, before end: Offset) -> [ArraySlice<Segment>] {
        var groups: [ArraySlice<Segment>] = []
        var first = 0
        var size = (log: 0, index: 0)
        for (index, segment) in scope.segments.enumerated() where segment.baseOffset < end {
            let isLast = index + 1 == scope.segments.count
            let next = isLast ? scope.end : scope.segments[index + 1].baseOffset
            let indexByteCount = segment.byteCount / max(configuration.indexIntervalBytes, 1) * 12
            let reach = next.rawValue - 1 - scope.segments[first].baseOffset.rawValue
            if index > first,
                size.log + segment.byteCount > configuration.segmentBytesMax
                    || size.index + indexByteCount > configuration.segmentIndexBytesMax
                    || reach > Int64(Int32.max)
            {
                groups.append(scope.segments[first..<index])
                first = index
                size = (0, 0)
            }
            size.log += segment.byteCount
            size.index += indexByteCount
            if isLast || scope.segments[index + 1].baseOffset >= end {
                groups.append(scope.segments[first...index])
            }
        }
        return groups
    }
}
