import TallyFiles
package import TallyRecords

/// What a repair of a partition directory would do, in order, and what it would leave. A value:
/// looking at the directory makes it, ``LogRepair/apply(_:loweringCheckpoints:didApply:)`` acts on
/// it.
package struct RepairPlan: Sendable {
    /// Topic and partition as the directory is named.
    package var partition: String
    /// The partition's directory.
    package var directory: String
    /// Where the log itself is damaged; nil where it is sound.
    package var damage: RepairDamage?
    /// Whether the steps cut the log at the damage, because the offset was told.
    package var isCutting = false
    /// What would be done; each step leaves what the next repair, or an opening, can go on from.
    package var steps: [RepairStep] = []
    /// What is wrong and is not mended by these steps.
    package var leftAlone: [LogProblem] = []
    /// Why the offset that was told cannot be used; then there are no steps.
    package var refusal: String?

    /// Whether the partition is sound once the steps are done.
    package var mendsEverything: Bool {
        refusal == nil && leftAlone.isEmpty
            && (damage == nil || isCutting || damage?.isCutByOpening == true)
    }
}

/// Where a log is damaged, and what ending it there would take.
package struct RepairDamage: Hashable, Sendable {
    /// The file, and the first byte of it that is no sound part of the log.
    package var file: String
    package var position: FilePosition
    /// What is wrong there.
    package var reason: String
    /// The offset at which the log would end: that behind the last sound batch.
    package var offset: Offset
    /// Bytes of log from there on, sound ones among them, and how many segments hold them.
    package var byteCount: Int
    package var segmentCount: Int
    /// Nothing behind it counts as stored, so that the next opening of the engine cuts it off.
    package var isCutByOpening = false
    /// The first segment that has to go as a whole; the damaged one stays up to ``position``
    /// where it is the one before.
    var firstAside: Int
}

/// One step of a repair.
package enum RepairStep: Hashable, Sendable {
    /// No checkpoint of the data directory says more than this offset.
    case lowerCheckpoints(to: Offset)
    /// `leader-epoch-checkpoint` gets these entries.
    case writeEpochs(LeaderEpochs, reason: String)
    /// Snapshots of producers go.
    case removeSnapshots([Offset], reason: String)
    /// A whole segment becomes a side file.
    case putAside(Offset, byteCount: Int)
    /// The bytes of a segment from a position on become a side file.
    case cut(Offset, at: FilePosition, byteCount: Int)
    /// `.index` and `.timeindex` of a segment are built from its log.
    case rebuildIndexes(Offset, reason: String)
    /// `.txnindex` of a segment is built from the log: up to a position in it, where the rest is
    /// to go.
    case rebuildTransactionIndex(Offset, upTo: FilePosition?, reason: String)
    /// A snapshot of the producers at an offset is built from the log.
    case writeSnapshot(Offset, reason: String)
    /// A file that belongs to no segment goes.
    case removeFile(String)
}

extension RepairStep: CustomStringConvertible {
    /// What is done to which file, and why.
    package var description: String {
        switch self {
        case .lowerCheckpoints(let offset):
            "bring the checkpoints of the data directory down to offset \(offset)"
        case .writeEpochs(let epochs, let reason):
            """
            write \(LeaderEpochs.fileName) with \(epochs.entries.count) epochs, the newest \
            \(epochs.latest ?? .none): \(reason)
            """
        case .removeSnapshots(let offsets, let reason):
            """
            remove \(offsets.map { SegmentName.file($0, .producerSnapshot) }
                .joined(separator: ", ")): \(reason)
            """
        case .putAside(let base, let byteCount):
            """
            put all of \(SegmentName.file(base, .log)) (\(byteCount) bytes) aside, as \
            \(SegmentName.cut(base, at: .start))
            """
        case .cut(let base, let position, let byteCount):
            """
            cut \(SegmentName.file(base, .log)) at byte \(position), and keep the \(byteCount) \
            bytes in \(SegmentName.cut(base, at: position)) unless they are all zero
            """
        case .rebuildIndexes(let base, let reason):
            """
            rebuild \(SegmentName.file(base, .offsetIndex)) and \
            \(SegmentName.file(base, .timeIndex)): \(reason)
            """
        case .rebuildTransactionIndex(let base, _, let reason):
            "rebuild \(SegmentName.file(base, .transactionIndex)): \(reason)"
        case .writeSnapshot(let offset, let reason):
            "rebuild \(SegmentName.file(offset, .producerSnapshot)): \(reason)"
        case .removeFile(let path): "remove \(path): it belongs to no segment"
        }
    }
}
