/// Asks which producers have written to partitions of late.
package struct DescribeProducersRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeProducersResponse
    /// Its API.
    package static let api = APIKey.describeProducers
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...0
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicPartitions
}

/// The producers of each partition.
package struct DescribeProducersResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeProducersRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people.
        package var errorMessage: String?
        /// The producers that the partition remembers.
        package var activeProducers: [Producer] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.array("activeProducers", &activeProducers)
            try coder.tags(&unknownTags)
        }
    }

    /// A producer.
    package struct Producer: WireStruct {
        /// The producer id.
        package var producerID: Int64 = 0
        /// The epoch of the producer.
        package var producerEpoch: Int32 = 0
        /// The sequence of its last record, or -1.
        package var lastSequence: Int32 = -1
        /// The timestamp of its last record, or -1.
        package var lastTimestamp: Int64 = -1
        /// The epoch of the transaction coordinator.
        package var coordinatorEpoch: Int32 = 0
        /// The first offset of the open transaction, or -1.
        package var currentTransactionStartOffset: Int64 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int64("producerID", &producerID)
            try coder.int32("producerEpoch", &producerEpoch)
            try coder.int32("lastSequence", &lastSequence)
            try coder.int64("lastTimestamp", &lastTimestamp)
            try coder.int32("coordinatorEpoch", &coordinatorEpoch)
            try coder.int64("currentTransactionStartOffset", &currentTransactionStartOffset)
            try coder.tags(&unknownTags)
        }
    }
}
