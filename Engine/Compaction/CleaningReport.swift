package import TallyRecords

/// What one cleaning of a log did.
package struct CleaningReport: Hashable, Sendable {
    /// Where the dirty part began.
    package var firstDirty = Offset.zero
    /// Everything before it is clean now.
    package var cleanedEnd = Offset.zero
    /// Whether the memory for keys ended it before the end of what could be cleaned: another
    /// cleaning goes on from ``cleanedEnd``.
    package var isPartial = false
    /// Different keys in the dirty part.
    package var keyCount = 0
    /// Bytes of the segments that were replaced, and of those that took their place.
    package var oldByteCount = 0
    package var newByteCount = 0
    /// The same in segments.
    package var oldSegmentCount = 0
    package var newSegmentCount = 0
    /// Records that were there and are not any more, markers counted too.
    package var removedRecordCount = 0
    /// Tombstones that are there and go some time after their delete horizon.
    package var pendingTombstoneCount = 0
    /// The first delete horizon of a tombstone or marker; nil where there is none.
    package var firstDeleteHorizon: Timestamp?

    /// Nothing done yet.
    package init() {}

    mutating func note(horizon: Timestamp) {
        firstDeleteHorizon = min(firstDeleteHorizon ?? horizon, horizon)
    }
}

/// Bytes that cleanings moved, those counted too that failed: the disk had the work of them.
package struct CleaningTraffic: Hashable, Sendable {
    /// Bytes read, those that were read twice counted twice.
    package var readByteCount = 0
    /// Bytes written to new segments.
    package var writtenByteCount = 0

    /// Nothing yet.
    package init() {}

    mutating func add(_ more: CleaningTraffic) {
        readByteCount += more.readByteCount
        writtenByteCount += more.writtenByteCount
    }
}

extension CleaningReport {
    /// Adds what another go, from where this one ended, has done.
    package mutating func goOn(with more: CleaningReport) {
        cleanedEnd = more.cleanedEnd
        isPartial = more.isPartial
        keyCount += more.keyCount
        oldByteCount += more.oldByteCount
        newByteCount += more.newByteCount
        oldSegmentCount += more.oldSegmentCount
        newSegmentCount += more.newSegmentCount
        removedRecordCount += more.removedRecordCount
        // Each go looks at the whole log: what it saw last is what is there.
        pendingTombstoneCount = more.pendingTombstoneCount
        firstDeleteHorizon = more.firstDeleteHorizon
    }
}

extension CleaningReport: CustomStringConvertible {
    /// What was done, in a line.
    package var description: String {
        """
        offsets \(firstDirty) to \(cleanedEnd), \(keyCount) keys, removed \(removedRecordCount) \
        records, \(oldSegmentCount) segments of \(oldByteCount) bytes became \
        \(newSegmentCount) of \(newByteCount)
        """
    }
}
