import Foundation
import GRDB
public import Tally

/// Folds the inventory events of one topic into rows of `state.db`.
///
/// Records are applied in the order of their offsets, partition by partition in any interleaving,
/// to a state in memory; `commit` writes every row that changed, the dead letters and the new
/// positions in one transaction, so that rows and positions never part. Hand it some ten thousand
/// records between two commits (`isCommitDue` says when).
///
/// A record that lies below the position is ignored, so whole batches may be handed in again. A
/// key must always come in the same partition, as every partitioner that goes by the key sees to.
///
/// After an error nothing is pending, and the positions are those of the database: resume from
/// `position(partition:)`. Another writer, or a rebuild that finished, is noticed at the next
/// commit (`anotherWriter`).
///
/// Thread rule: one owner at a time; not `Sendable`. Calls block on SQLite.
public final class InventoryProjection {
    /// Which rows a projection writes.
    public enum Generation: Hashable, Sendable {
        /// The rows that queries read, from where the last commit left them.
        case live
        /// New rows beside the live ones, from the first offset on; `finishRebuild` swaps them in.
        case rebuild
    }

    /// The sizes that a projection keeps to.
    public struct Options: Hashable, Sendable {
        /// An event id is a duplicate when the same id was applied at most this many offsets
        /// earlier in the partition. It is fixed when a generation begins: the stored one counts
        /// for a live projection that exists, and a rebuild may bring a new one.
        public var deduplicationWindow: Int64 = 1_000_000
        /// How many rows stay in memory from one transaction to the next (130 bytes each, or so).
        public var cachedRowsMax = 262_144
        /// After how many records a commit is due.
        public var recordsPerCommit = 50_000

        /// The default sizes.
        public init() {}
    }

    /// The name of this projection in the table of projections.
    static let name = "inventory"
    /// How much unwritten text of dead letters makes a commit due.
    static let pendingBytesMax = 16 << 20

    /// The topic whose events are projected.
    public let topic: String
    let database: StateDatabase
    let options: Options
    let now: () -> Timestamp

    /// Which row of the projection table this is, and which state of it.
    var identity: ProjectionIdentity
    /// Set after an error: what is in memory counts for nothing until it has been read again.
    var mustReload = false

    /// All that the next commit writes, and the rows seen so far.
    var state = ProjectionState()

    /// Opens the projection of `topic`, and creates it when it is new. For a rebuild, whatever an
    /// earlier rebuild of the topic left is thrown away, and that one can no longer commit.
    ///
    /// Errors: `readOnly`, and those of every database access (`locked`, `noSpace`, ...).
    public convenience init(
        database: StateDatabase, topic: String, generation: Generation = .live,
        options: Options = Options()
    ) throws(StateStoreError) {
        try self.init(
            database: database, topic: topic, generation: generation, options: options,
            now: { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) })
    }

    /// Opens a projection with a clock of the caller's, which dates commits and nothing else.
    package init(
        database: StateDatabase, topic: String, generation: Generation, options: Options,
        now: @escaping () -> Timestamp
    ) throws(StateStoreError) {
        self.database = database
        self.topic = topic
        self.options = options
        self.now = now
        let time = now()
        identity = try database.write { connection in
            switch generation {
            case .live:
                try ProjectionIdentity.live(
                    connection, topic: topic, window: options.deduplicationWindow, now: time)
            case .rebuild:
                try ProjectionIdentity.beginRebuild(
                    connection, topic: topic, window: options.deduplicationWindow, now: time)
            }
        }
        try reload()
    }

    /// Which rows this projection writes; a rebuild becomes live when it has finished.
    public var generation: Generation { identity.set == .live ? .live : .rebuild }

    /// Whether enough is pending that a commit should come next.
    public var isCommitDue: Bool {
        state.pendingRecords >= options.recordsPerCommit
            || state.pendingBytes >= Self.pendingBytesMax
    }

    /// The records applied or skipped over since the last commit.
    public var pendingRecords: Int { state.pendingRecords }

    /// The position in a partition, pending records included, or nil when it has none yet: start
    /// at the first offset then. `resumeOffset` checks it against the log.
    ///
    /// Errors: those of reading the database, after an earlier error only.
    public func position(partition: Int32) throws(StateStoreError) -> ProjectionPosition? {
        if mustReload { try reload() }
        guard let slot = state.slot(of: partition) else { return nil }
        let progress = state.partitions[slot]
        guard progress.committedNext != nil || progress.isTouched else { return nil }
        return ProjectionPosition(
            partition: partition, next: Offset(progress.next),
            leaderEpoch: LeaderEpoch(progress.leaderEpoch))
    }

    /// The offset from which to read a partition, after checking that the log still fits.
    ///
    /// - Parameters:
    ///   - partition: The partition.
    ///   - logStart: The log's first offset.
    ///   - endOffset: The end of the log for a leader epoch, as `endOffset(forEpoch:)` of the log
    ///     gives it: the first offset of the next epoch, or the log's end for the newest one and
    ///     for the unknown epoch -1; nil when the log knows no epoch so early.
    ///
    /// Errors: `baselineMissing`, `behindLogStart`, `positionNotInLog`.
    public func resumeOffset(
        partition: Int32, logStart: Offset, endOffset: (LeaderEpoch) -> Offset?
    ) throws(StateStoreError) -> Offset {
        guard let position = try position(partition: partition) else {
            guard logStart <= .zero else {
                throw .baselineMissing(topic: topic, partition: partition, logStart: logStart)
            }
            return .zero
        }
        guard position.next >= logStart else {
            throw .behindLogStart(
                topic: topic, partition: partition, position: position.next, logStart: logStart)
        }
        guard let end = endOffset(position.leaderEpoch), position.next <= end else {
            throw .positionNotInLog(
                topic: topic, partition: partition, position: position.next,
                leaderEpoch: position.leaderEpoch)
        }
        return position.next
    }

    /// Forgets everything since the last commit.
    public func discard() {
        mustReload = true
        state = ProjectionState()
    }
}
