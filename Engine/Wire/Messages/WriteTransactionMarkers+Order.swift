extension WriteTransactionMarkersRequest {
    /// Which of several requests of a coordinator a marker is: a tagged field of Tally's own, which
    /// other brokers pass over. A partition that knows it writes no marker behind a later one.
    package struct Order: Hashable, Sendable {
        /// The number of the field, far above Kafka's.
        package static let tag: UInt32 = 10_000

        /// Rises with each marker that the coordinator asks for, in its epoch.
        package var attempt: Int64
        /// The epoch of the leader who is asked, of each partition of the marker.
        package var leaderEpoch: Int32

        /// An order.
        package init(attempt: Int64, leaderEpoch: Int32) {
            self.attempt = attempt
            self.leaderEpoch = leaderEpoch
        }

        /// Eight bytes and four, the high ones first; nil where there are more or fewer.
        fileprivate init?(_ bytes: [UInt8]) {
            guard bytes.count == 12 else { return nil }
            attempt = bytes[..<8].reduce(0) { $0 << 8 | Int64($1) }
            leaderEpoch = bytes[8...].reduce(0) { $0 << 8 | Int32($1) }
        }

        fileprivate var bytes: [UInt8] {
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: attempt >> $0) }
                + stride(from: 24, through: 0, by: -8).map {
                    UInt8(truncatingIfNeeded: leaderEpoch >> $0)
                }
        }
    }
}

extension WriteTransactionMarkersRequest.Marker {
    /// Where it stands among the others of its coordinator; nil where that is not said.
    package var order: WriteTransactionMarkersRequest.Order? {
        get {
            unknownTags.fields.first { $0.tag == WriteTransactionMarkersRequest.Order.tag }
                .flatMap { WriteTransactionMarkersRequest.Order($0.bytes) }
        }
        set {
            let tag = WriteTransactionMarkersRequest.Order.tag
            unknownTags.fields.removeAll { $0.tag == tag }
            guard let newValue else { return }
            unknownTags.fields.append(.init(tag: tag, bytes: newValue.bytes))
        }
    }
}
