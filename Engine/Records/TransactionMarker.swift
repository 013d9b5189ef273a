/// What a coordinator has a partition write: how a producer's transaction ended.
///
/// The same may be asked for several times, where the coordinator does not know whether it was
/// written, and requests that it has given up may be carried out late: when the producer's next
/// transaction is open, perhaps, which they must not end (KIP-1228 is about the same). So the
/// partition writes none behind a later one.
package struct TransactionMarker: Hashable, Sendable {
    /// Which of several requests for markers of a coordinator this is.
    package struct Order: Hashable, Sendable {
        /// Rises with each marker that the coordinator asks for, in its epoch.
        package var attempt: Int64
        /// The epoch of the leader who is asked: another may have written what came later.
        package var leaderEpoch: LeaderEpoch?

        /// An order. No epoch: whoever leads.
        package init(attempt: Int64, leaderEpoch: LeaderEpoch? = nil) {
            self.attempt = attempt
            self.leaderEpoch = leaderEpoch
        }
    }

    /// Whether the transaction is committed; it is aborted otherwise.
    package var didCommit: Bool
    /// Whose transaction it is.
    package var producerID: Int64
    /// The producer's epoch.
    package var producerEpoch: Int16
    /// The term of the coordinator that decided; older ones are refused.
    package var coordinatorEpoch: Int32
    /// Where it stands among the others of its coordinator; nil where that is not known, as of
    /// coordinators of Kafka's, or of somebody who ends a transaction by hand.
    package var order: Order?

    /// A marker.
    package init(
        didCommit: Bool, producerID: Int64, producerEpoch: Int16, coordinatorEpoch: Int32,
        order: Order? = nil
    ) {
        self.didCommit = didCommit
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.coordinatorEpoch = coordinatorEpoch
        self.order = order
    }

    /// What the control record of the marker says.
    package var control: ControlRecord {
        ControlRecord(didCommit ? .commit : .abort, coordinatorEpoch: coordinatorEpoch)
    }
}
