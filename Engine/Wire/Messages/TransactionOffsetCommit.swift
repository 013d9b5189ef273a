/// Offsets of a group that become valid with a transaction.
package struct TransactionOffsetCommitRequest: WireRequest {
    /// What answers it.
    package typealias Response = TransactionOffsetCommitResponse
    /// Its API.
    package static let api = APIKey.transactionOffsetCommit
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// The transactional id.
    package var transactionalID = ""
    /// The group.
    package var groupID = ""
    /// The producer id.
    package var producerID: Int64 = 0
    /// The epoch of the producer.
    package var producerEpoch: Int16 = 0
    /// The generation of the group (version 3 and up).
    package var generationID: Int32 = -1
    /// The member; empty before the coordinator has named it (version 3 and up).
    package var memberID = ""
    /// The fixed name of a static member, or null (version 3 and up).
    package var groupInstanceID: String?
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("transactionalID", &transactionalID)
        try coder.string("groupID", &groupID)
        try coder.int64("producerID", &producerID)
        try coder.int16("producerEpoch", &producerEpoch)
        try coder.int32("generationID", &generationID, from: 3, otherwise: -1)
        try coder.string("memberID", &memberID, from: 3)
        try coder.nullableString("groupInstanceID", &groupInstanceID, from: 3)
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The offset of the next record to be read.
        package var committedOffset: Int64 = 0
        /// The leader epoch of the last record that was read, or -1 (version 2 and up; dropped in
        /// others).
        package var committedLeaderEpoch: Int32 = -1
        /// Text that the consumer keeps with the offset.
        package var committedMetadata: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int64("committedOffset", &committedOffset)
            try coder.int32(
                "committedLeaderEpoch", &committedLeaderEpoch, from: 2, isIgnorable: true)
            try coder.nullableString("committedMetadata", &committedMetadata)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the offsets are waiting for the transaction.
package struct TransactionOffsetCommitResponse: WireResponse {
    /// What it answers.
    package typealias Request = TransactionOffsetCommitRequest

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
    package typealias Partition = PartitionResult
}
