import TallyRecords
import TallyReplication
import TallyTransactions

/// Something that must not happen.
public struct Violation: Sendable, CustomStringConvertible {
    /// What was promised and not kept.
    public enum Promise: String, CaseIterable, Sendable {
        /// An acknowledged record stays at its offset.
        case acknowledgedStays
        /// A record is in the log once, in the order of sending.
        case onceInOrder
        /// Replicas agree below their high watermarks.
        case replicasAgree
        /// What one consumer has read, all read.
        case readsAgree
        /// No consumer sees the high watermark fall.
        case highWatermarkRises
        /// Nobody acknowledges whose lease has ended.
        case leaseHolds
        /// Readers of committed transactions are shown nothing of one that was not committed.
        case undecidedIsHidden
        /// Every record of a committed transaction is shown to them, once.
        case committedIsShown
        /// No transaction stays open that nobody will end.
        case transactionsEnd
        /// A marker ends the transaction that was decided about, and not the one behind it.
        case markersEndTheirOwn
        /// No offset is committed in a generation that is over.
        case generationsFence
        /// A committed offset never falls.
        case offsetsStay
        /// When all faults are over, the cluster works, and is whole again.
        case recovers
    }

    /// Which promise was broken.
    public var promise: Promise
    /// How.
    public var details: String

    /// The promise and the details.
    public var description: String { "\(promise): \(details)" }
}

/// What was promised, and what was seen that should not be.
final class History {
    /// What a producer was told.
    struct Acknowledgement {
        var partition: Int
        var producer: BatchProducer
        var offset: Offset
        var epoch: LeaderEpoch
    }

    private(set) var acknowledgements: [Acknowledgement] = []
    private(set) var violations: [Violation] = []
    /// What consumers have read, by partition and offset.
    private(set) var consumed: [[Offset: SimulatedRecord]]
    var leaderCount = 0
    /// What readers of committed transactions were shown, by partition and offset.
    private(set) var shown: [[Offset: SimulatedRecord]]
    let groups = GroupHistory()
    let transactions = TransactionHistory()

    init(partitionCount: Int) {
        consumed = Array(repeating: [:], count: partitionCount)
        shown = consumed
    }

    func acknowledge(_ acknowledgement: Acknowledgement) {
        acknowledgements.append(acknowledgement)
    }

    func violate(_ promise: Violation.Promise, _ details: String) {
        violations.append(Violation(promise: promise, details: details))
    }

    func show(_ record: SimulatedRecord, at offset: Offset, of partition: Int) {
        shown[partition][offset] = record
    }

    func consume(_ record: SimulatedRecord, at offset: Offset, of partition: Int) {
        if let known = consumed[partition][offset], known != record {
            violate(
                .readsAgree,
                "offset \(offset) of \(partition) was read as \(known) and as \(record)")
        }
        consumed[partition][offset] = record
    }
}
