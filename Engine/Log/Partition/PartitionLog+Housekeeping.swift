import Synchronization
import TallyRecords

extension PartitionLog {
    /// What an acknowledged append promises here.
    package var durability: Durability { configuration.durability }

    /// Whether a rolled segment waits to be sealed. Cheap.
    package var hasSegmentToSeal: Bool { writer.withLock { !$0.unsealed.isEmpty } }

    /// Whether something appended is not on stable storage yet. False while somebody syncs: it
    /// is being taken care of.
    package var hasUnsyncedAppends: Bool {
        let end = logEnd
        return syncing.withLockIfAvailable { $0.end < end } ?? false
    }

    /// The largest batch this log takes, in bytes.
    package var batchBytesMax: Int {
        min(configuration.batchBytesMax, configuration.segmentBytesMax)
    }

    /// Hands the index entries that are in memory to the kernel, as far as that is possible now:
    /// called before the recovery point is stored, since an opening after a crash looks at the log
    /// from the last entry before that point on. Not synced: an index is no evidence.
    package func writeIndexEntries() {
        // What cannot be written now stays in memory; a disk that fails shows at the next append.
        try? segments.last?.writeIndexEntries()
    }
}
