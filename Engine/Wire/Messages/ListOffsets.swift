/// Asks for the offset that belongs to a timestamp, or for an end of a partition.
package struct ListOffsetsRequest: WireRequest {
    /// What answers it.
    package typealias Response = ListOffsetsResponse
    /// Its API.
    package static let api = APIKey.listOffsets
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 1...10
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 6

    /// The broker that asks as a replica; -1 for consumers.
    package var replicaID: Int32 = 0
    /// Which records are seen: 0 all, 1 those of committed transactions only (version 2 and
    /// up).
    package var isolationLevel: Int8 = 0
    /// The topics.
    package var topics: [Topic] = []
    /// How long the broker may take (version 10 and up; dropped in others).
    package var timeoutMilliseconds: Int32 = 0
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("replicaID", &replicaID)
        try coder.int8("isolationLevel", &isolationLevel, from: 2)
        try coder.array("topics", &topics)
        try coder.int32("timeoutMilliseconds", &timeoutMilliseconds, from: 10, isIgnorable: true)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The leader epoch that the client knows, or -1; another is an error (version 4 and up;
        /// dropped in others).
        package var currentLeaderEpoch: Int32 = -1
        /// Milliseconds since 1970; in requests -1 means the end, -2 the start.
        package var timestamp: Int64 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int32("currentLeaderEpoch", &currentLeaderEpoch, from: 4, isIgnorable: true)
            try coder.int64("timestamp", &timestamp)
            try coder.tags(&unknownTags)
        }
    }
}

/// The offset of each partition that was asked for.
package struct ListOffsetsResponse: WireResponse {
    /// What it answers.
    package typealias Request = ListOffsetsRequest

    /// How long the client has been slowed down for its quota (version 2 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 2, isIgnorable: true)
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
        /// Milliseconds since 1970; in requests -1 means the end, -2 the start.
        package var timestamp: Int64 = -1
        /// The offset.
        package var offset: Int64 = -1
        /// The leader epoch, or -1 (version 4 and up).
        package var leaderEpoch: Int32 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.errorCode("errorCode", &errorCode)
            try coder.int64("timestamp", &timestamp)
            try coder.int64("offset", &offset)
            try coder.int32("leaderEpoch", &leaderEpoch, from: 4, otherwise: -1)
            try coder.tags(&unknownTags)
        }
    }
}
