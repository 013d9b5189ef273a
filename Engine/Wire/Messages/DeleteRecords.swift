/// Partitions whose oldest records are to be deleted.
package struct DeleteRecordsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DeleteRecordsResponse
    /// Its API.
    package static let api = APIKey.deleteRecords
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...2
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 2

    /// The topics.
    package var topics: [Topic] = []
    /// How long the broker may take.
    package var timeoutMilliseconds: Int32 = 0
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("topics", &topics)
        try coder.int32("timeoutMilliseconds", &timeoutMilliseconds)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The offset.
        package var offset: Int64 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int64("offset", &offset)
            try coder.tags(&unknownTags)
        }
    }
}

/// Where the partitions begin now.
package struct DeleteRecordsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DeleteRecordsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The topics.
    package var topics: [TopicResult] = []
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

    /// What became of one topic.
    package typealias TopicResult = TopicOf<PartitionResult>

    /// What became of one partition.
    package struct PartitionResult: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The first offset that is left, or -1.
        package var lowWatermark: Int64 = 0
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int64("lowWatermark", &lowWatermark)
            try coder.errorCode("errorCode", &errorCode)
            try coder.tags(&unknownTags)
        }
    }
}
