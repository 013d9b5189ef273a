public import TallyRecords

/// Batches of another log that do not go on where this one ends: the two logs have parted, or
/// batches are missing or came twice. Nothing of it was written.
public struct Divergence: Error, Hashable, Sendable {
    /// Topic and partition as the directory is named: `inventory-events-3`.
    public var partition: String
    /// Where the batch had to begin, at least.
    public var logEnd: Offset
    /// The epoch that it had to have, at least.
    public var leaderEpoch: LeaderEpoch
    /// Where it begins.
    public var offset: Offset
    /// The epoch that it has.
    public var offsetEpoch: LeaderEpoch
}

extension Divergence: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        """
        \(partition): a batch of the log that is copied begins at offset \(offset) with leader \
        epoch \(offsetEpoch), and this log ends at offset \(logEnd) with epoch \(leaderEpoch): \
        it is no copy of the other any more. Nothing was written. Delete the topic and copy it \
        anew, or keep it as it is.
        """
    }
}
