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

    /// Bytes of the segments before and from ``firstDirty`` on; a segment that lies on both sides
    /// counts as dirty.
    package var byteCounts: (clean: Int, dirty: Int) {
        var counts = (clean: 0, dirty: 0)
        for (index, segment) in segments.enumerated() {
            let next = index + 1 < segments.count ? segments[index + 1].baseOffset : end
            if next <= firstDirty {
                counts.clean += segment.byteCount
            } else {
                counts.dirty += segment.byteCount
            }
        }
        return counts
    }

    /// The part of the bytes that is dirty: 0 to 1.
    package var dirtyRatio: Double {
        let counts = byteCounts
        let all = counts.clean + counts.dirty
        return all == 0 ? 0 : Double(counts.dirty) / Double(all)
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

    /// The sizes of what can be cleaned now, and what would have to be known for it. Looks at a few
    /// headers at most, syncs nothing.
    ///
    /// - Parameter now: what `min.compaction.lag.ms` counts back from.
    package func cleanableSegments(
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

    /// Whether the oldest record that was not looked at yet waits longer than
    /// `max.compaction.lag.ms`.
    package func isCompactionOverdue(
        _ scope: CleaningScope, now: Timestamp
    ) throws(LogError) -> Bool {
        let lag = configuration.compactionLagMillisecondsMax
        guard lag < .max, scope.firstDirty < scope.end,
            let first = scope.segments.last(where: { $0.baseOffset <= scope.firstDirty }),
            let timestamp = try first.firstTimestamp()
        else { return false }
        let age = now.rawValue.subtractingReportingOverflow(timestamp.rawValue)
        return !age.overflow && age.partialValue > lag
    }

    /// Whether its dirty part is larger than `min.cleanable.dirty.ratio` allows.
    package func isCompactionDue(_ scope: CleaningScope) -> Bool {
        scope.firstDirty < scope.end
            && scope.dirtyRatio > configuration.cleanableDirtyRatioMin
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
