/// Asks for the stored offsets of groups of consumers.
package struct OffsetFetchRequest: WireRequest {
    /// What answers it.
    package typealias Response = OffsetFetchResponse
    /// Its API.
    package static let api = APIKey.offsetFetch
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 1...9
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 6

    /// The group (through version 7).
    package var groupID = ""
    /// The partitions that are wanted, or null for all (through version 7).
    package var topics: [Topic]? = []
    /// The groups (version 8 and up).
    package var groups: [Group] = []
    /// Whether offsets of open transactions are an error, to be asked for again (version 7 and
    /// up).
    package var requireStable = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("groupID", &groupID, through: 7)
        try coder.nullableArray("topics", &topics, through: 7, nullableFrom: 2)
        try coder.array("groups", &groups, from: 8)
        try coder.bool("requireStable", &requireStable, from: 7)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicPartitions

    /// A group.
    package struct Group: WireStruct {
        /// The group.
        package var groupID = ""
        /// The member; empty before the coordinator has named it (version 9 and up; dropped in
        /// others).
        package var memberID: String?
        /// The epoch of the member (version 9 and up; dropped in others).
        package var memberEpoch: Int32 = -1
        /// The partitions that are wanted, or null for all.
        package var topics: [Topic]? = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("groupID", &groupID)
            try coder.nullableString("memberID", &memberID, from: 9, isIgnorable: true)
            try coder.int32("memberEpoch", &memberEpoch, from: 9, isIgnorable: true)
            try coder.nullableArray("topics", &topics)
            try coder.tags(&unknownTags)
        }
    }
}

/// The stored offsets.
package struct OffsetFetchResponse: WireResponse {
    /// What it answers.
    package typealias Request = OffsetFetchRequest

    /// How long the client has been slowed down for its quota (version 3 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// The topics (through version 7).
    package var topics: [Topic] = []
    /// What went wrong, or `none` (versions 2 to 7; dropped in others).
    package var errorCode = ErrorCode.none
    /// The groups (version 8 and up).
    package var groups: [Group] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 3, isIgnorable: true)
        try coder.array("topics", &topics, through: 7)
        try coder.errorCode("errorCode", &errorCode, from: 2, through: 7, isIgnorable: true)
        try coder.array("groups", &groups, from: 8)
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
        /// The leader epoch of the last record that was read, or -1 (versions 5 to 7; dropped in
        /// others).
        package var committedLeaderEpoch: Int32 = -1
        /// Text or bytes that the broker only keeps.
        package var metadata: String? = ""
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int64("committedOffset", &committedOffset)
            try coder.int32(
                "committedLeaderEpoch", &committedLeaderEpoch, from: 5, isIgnorable: true)
            try coder.nullableString("metadata", &metadata)
            try coder.errorCode("errorCode", &errorCode)
            try coder.tags(&unknownTags)
        }
    }

    /// A group.
    package struct Group: WireStruct {
        /// The group.
        package var groupID = ""
        /// The topics.
        package var topics: [Topic] = []
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("groupID", &groupID)
            try coder.array("topics", &topics)
            try coder.errorCode("errorCode", &errorCode)
            try coder.tags(&unknownTags)
        }
    }
}
