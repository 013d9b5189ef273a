/// Asks for topics and their partitions, page by page.
package struct DescribeTopicPartitionsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeTopicPartitionsResponse
    /// Its API.
    package static let api = APIKey.describeTopicPartitions
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...0
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// The topics.
    package var topics: [Topic] = []
    /// The most partitions of one page.
    package var responsePartitionLimit: Int32 = 2000
    /// Where the page begins; null is the beginning.
    package var cursor: Cursor?
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("topics", &topics)
        try coder.int32("responsePartitionLimit", &responsePartitionLimit)
        try coder.nullableStructure("cursor", &cursor)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package struct Topic: WireStruct {
        /// The name.
        package var name = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.tags(&unknownTags)
        }
    }

    /// Where the next page begins.
    package struct Cursor: WireStruct {
        /// The name of the topic.
        package var topicName = ""
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("topicName", &topicName)
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.tags(&unknownTags)
        }
    }
}

/// A page of topics and their partitions.
package struct DescribeTopicPartitionsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeTopicPartitionsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The topics.
    package var topics: [Topic] = []
    /// Where the next page begins; null after the last.
    package var nextCursor: Cursor?
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("topics", &topics)
        try coder.nullableStructure("nextCursor", &nextCursor)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package struct Topic: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The name.
        package var name: String? = ""
        /// The id of the topic.
        package var topicID = WireUUID.zero
        /// Whether the topic is Kafka's own.
        package var isInternal = false
        /// The partitions.
        package var partitions: [Partition] = []
        /// What the client may do with the topic, as bits; `Int32.min` where that was not asked
        /// for.
        package var topicAuthorizedOperations: Int32 = .min
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("name", &name)
            try coder.uuid("topicID", &topicID)
            try coder.bool("isInternal", &isInternal)
            try coder.array("partitions", &partitions)
            try coder.int32("topicAuthorizedOperations", &topicAuthorizedOperations)
            try coder.tags(&unknownTags)
        }
    }

    /// A partition.
    package struct Partition: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The broker that leads, or -1.
        package var leaderID: Int32 = 0
        /// The leader epoch, or -1.
        package var leaderEpoch: Int32 = -1
        /// The brokers that have the partition.
        package var replicaNodes: [Int32] = []
        /// The brokers whose copies are in sync.
        package var inSyncReplicaNodes: [Int32] = []
        /// Replicas out of sync that could lead without losing anything.
        package var eligibleLeaderReplicas: [Int32]?
        /// The last eligible replicas that were known.
        package var lastKnownEligibleLeaderReplicas: [Int32]?
        /// The brokers whose copies are not there.
        package var offlineReplicas: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int32("leaderID", &leaderID)
            try coder.int32("leaderEpoch", &leaderEpoch)
            try coder.integers("replicaNodes", &replicaNodes)
            try coder.integers("inSyncReplicaNodes", &inSyncReplicaNodes)
            try coder.nullableIntegers("eligibleLeaderReplicas", &eligibleLeaderReplicas)
            try coder.nullableIntegers(
                "lastKnownEligibleLeaderReplicas", &lastKnownEligibleLeaderReplicas)
            try coder.integers("offlineReplicas", &offlineReplicas)
            try coder.tags(&unknownTags)
        }
    }

    /// Where the next page begins.
    package typealias Cursor = DescribeTopicPartitionsRequest.Cursor
}
