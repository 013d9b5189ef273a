public import Tally

/// What a reader of a partition met, as the position shows it.
public struct PositionConflict: Hashable, Sendable {
    /// Whose positions these are.
    public var consumer: String
    /// The partition.
    public var partition: TopicPartition
    /// What the table says.
    public var found: PositionTable.Position
    /// Where the reader thought the position was; nil where it did not come to that.
    public var expected: Offset?
    /// The reader's generation; 0 without a group.
    public var generation: Int32
}

/// Why a position was not moved, and no row written.
public enum PositionError: Error, Hashable, Sendable {
    /// The position is somewhere else: records were applied already, or are missing.
    case moved(PositionConflict)
    /// The partition is another generation's.
    case fenced(PositionConflict)
    /// The partition was not taken before its records were applied.
    case notTaken(consumer: String, partition: TopicPartition)
    /// The topic was deleted and created again: the position speaks of records that are gone.
    case ofAnotherTopic(PositionConflict)
    /// The log does not have the records at the position: they were retired, or a power loss took
    /// those before it.
    case notInLog(PositionConflict, logStart: Offset, logEnd: Offset)
}

extension PositionError: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        switch self {
        case .moved(let conflict):
            """
            \(conflict.consumer) stands at offset \(conflict.found.nextOffset) of \
            \(conflict.partition), and these records begin at \
            \(conflict.expected.map(String.init(describing:)) ?? "none"). Nothing was written; \
            seek to the stored position, as take(_:for:) does.
            """
        case .fenced(let conflict):
            """
            \(conflict.partition) of \(conflict.consumer) belongs to generation \
            \(conflict.found.generation), and this reader is of \(conflict.generation). Nothing \
            was written; another member reads the partition. Where the group counts its \
            generations anew, since its state.db was lost: stop its members and call release(_:).
            """
        case .notTaken(let consumer, let partition):
            """
            \(partition) was not taken for \(consumer): call take(_:for:) before its records are \
            applied, in a group from the listener's .assigned. Nothing was written.
            """
        case .ofAnotherTopic(let conflict):
            """
            \(conflict.consumer) stands at offset \(conflict.found.nextOffset) of a topic \
            \(conflict.partition.topic) that was deleted; another has its name now. Nothing was \
            written. To begin with the new one, stop the members and call \
            reset(_:to:) for \(conflict.partition); the rows of the old one are the application's.
            """
        case .notInLog(let conflict, let logStart, let logEnd):
            """
            \(conflict.consumer) stands at offset \(conflict.found.nextOffset) of \
            \(conflict.partition), behind leader epoch \(conflict.found.leaderEpoch), and the log \
            does not go on from there: it holds \(logStart) to \(logEnd) (exclusive), or other \
            records by now. Nothing was written. Records were retired before they were applied, or \
            lost after; to go on from somewhere else call reset(_:to:).
            """
        }
    }
}
