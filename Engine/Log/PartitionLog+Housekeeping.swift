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
}

extension PartitionLog {
    /// The largest batch this log takes, in bytes.
    package var batchBytesMax: Int {
        min(configuration.batchBytesMax, configuration.segmentBytesMax)
    }
}
