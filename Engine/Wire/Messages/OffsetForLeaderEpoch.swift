/// Asks where the records of a leader epoch end.
package struct OffsetForLeaderEpochRequest: WireRequest {
    /// What answers it.
    package typealias Response = OffsetForLeaderEpochResponse
    /// Its API.
    package static let api = APIKey.offsetForLeaderEpoch
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 2...4
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 4

    /// The broker that asks as a replica; -1 for consumers (version 3 and up; dropped in
    /// others).
    package var replicaID: Int32 = -2
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("replicaID", &replicaID, from: 3, isIgnorable: true)
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partition: Int32 = 0
        /// The leader epoch that the client knows, or -1; another is an error.
        package var currentLeaderEpoch: Int32 = -1
        /// The leader epoch, or -1.
        package var leaderEpoch: Int32 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partition", &partition)
            try coder.int32("currentLeaderEpoch", &currentLeaderEpoch)
            try coder.int32("leaderEpoch", &leaderEpoch)
            try coder.tags(&unknownTags)
        }
    }
}

/// The ends of the epochs that were asked for.
package struct OffsetForLeaderEpochResponse: WireResponse {
    /// What it answers.
    package typealias Request = OffsetForLeaderEpochRequest

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
    package typealias Topic = TopicOf<EpochEnd>

    /// Where an epoch ends.
    package struct EpochEnd: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The partition.
        package var partition: Int32 = 0
        /// The leader epoch, or -1.
        package var leaderEpoch: Int32 = -1
        /// The offset behind the last record of the epoch, or -1.
        package var endOffset: Int64 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.int32("partition", &partition)
            try coder.int32("leaderEpoch", &leaderEpoch)
            try coder.int64("endOffset", &endOffset)
            try coder.tags(&unknownTags)
        }
    }
}
