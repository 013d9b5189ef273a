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

    /// Writes the index entries that are in memory. Before a checkpoint: a recovery gets to the
    /// recovery point by the index, and reads up to 4 MiB of each partition without the last page
    /// of it. Not synced, since an index is no evidence. Blocks for small writes.
    package func writeIndexEntries() { segments.last?.writeIndexEntries() }
}

extension PartitionLog {
    /// The largest batch this log takes, in bytes.
    package var batchBytesMax: Int {
        min(configuration.batchBytesMax, configuration.segmentBytesMax)
    }
}
