/// The coordinator has the outcome of transactions written into partitions.
package struct WriteTransactionMarkersRequest: WireRequest {
    /// What answers it.
    package typealias Response = WriteTransactionMarkersResponse
    /// Its API.
    package static let api = APIKey.writeTransactionMarkers
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...1
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 1

    /// The markers.
    package var markers: [Marker] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("markers", &markers)
        try coder.tags(&unknownTags)
    }

    /// The outcome of one transaction.
    package struct Marker: WireStruct {
        /// The producer id.
        package var producerID: Int64 = 0
        /// The epoch of the producer.
        package var producerEpoch: Int16 = 0
        /// Whether the transaction is committed; it is aborted otherwise.
        package var isCommit = false
        /// The topics.
        package var topics: [Topic] = []
        /// The epoch of the transaction coordinator.
        package var coordinatorEpoch: Int32 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int64("producerID", &producerID)
            try coder.int16("producerEpoch", &producerEpoch)
            try coder.bool("isCommit", &isCommit)
            try coder.array("topics", &topics)
            try coder.int32("coordinatorEpoch", &coordinatorEpoch)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package typealias Topic = TopicPartitions
}

/// Which of the markers were written.
package struct WriteTransactionMarkersResponse: WireResponse {
    /// What it answers.
    package typealias Request = WriteTransactionMarkersRequest

    /// The markers.
    package var markers: [Producer] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("markers", &markers)
        try coder.tags(&unknownTags)
    }

    /// A producer.
    package struct Producer: WireStruct {
        /// The producer id.
        package var producerID: Int64 = 0
        /// The topics.
        package var topics: [Topic] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int64("producerID", &producerID)
            try coder.array("topics", &topics)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package typealias Partition = PartitionResult
}
