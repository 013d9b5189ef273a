/// Asks which partitions are moving between brokers.
package struct ListPartitionReassignmentsRequest: WireRequest {
    /// What answers it.
    package typealias Response = ListPartitionReassignmentsResponse
    /// Its API.
    package static let api = APIKey.listPartitionReassignments
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...0
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// How long the broker may take.
    package var timeoutMilliseconds: Int32 = 60000
    /// The partitions that are wanted, or null for all.
    package var topics: [Topic]?
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("timeoutMilliseconds", &timeoutMilliseconds)
        try coder.nullableArray("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicPartitions
}

/// The partitions that are moving.
package struct ListPartitionReassignmentsResponse: WireResponse {
    /// What it answers.
    package typealias Request = ListPartitionReassignmentsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// What went wrong, for people.
    package var errorMessage: String? = ""
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.nullableString("errorMessage", &errorMessage)
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The brokers that have the partition.
        package var replicas: [Int32] = []
        /// The brokers that are to get the partition.
        package var addingReplicas: [Int32] = []
        /// The brokers that are to give the partition up.
        package var removingReplicas: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.integers("replicas", &replicas)
            try coder.integers("addingReplicas", &addingReplicas)
            try coder.integers("removingReplicas", &removingReplicas)
            try coder.tags(&unknownTags)
        }
    }
}
