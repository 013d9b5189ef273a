/// Offsets that a group of consumers has worked up to.
package struct OffsetCommitRequest: WireRequest {
    /// What answers it.
    package typealias Response = OffsetCommitResponse
    /// Its API.
    package static let api = APIKey.offsetCommit
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 2...9
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 8

    /// The group.
    package var groupID = ""
    /// The generation of the group, or the epoch of the member; -1 for commits from outside.
    package var generationIDOrMemberEpoch: Int32 = -1
    /// The member; empty before the coordinator has named it.
    package var memberID = ""
    /// The fixed name of a static member, or null (version 7 and up).
    package var groupInstanceID: String?
    /// How long to keep the offset; -1 leaves it to the broker (through version 4; dropped in
    /// others).
    package var retentionTimeMilliseconds: Int64 = -1
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("groupID", &groupID)
        try coder.int32("generationIDOrMemberEpoch", &generationIDOrMemberEpoch)
        try coder.string("memberID", &memberID)
        try coder.nullableString("groupInstanceID", &groupInstanceID, from: 7)
        try coder.int64(
            "retentionTimeMilliseconds", &retentionTimeMilliseconds, through: 4, isIgnorable: true)
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
        /// The leader epoch of the last record that was read, or -1 (version 6 and up; dropped in
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
                "committedLeaderEpoch", &committedLeaderEpoch, from: 6, isIgnorable: true)
            try coder.nullableString("committedMetadata", &committedMetadata)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the offsets were stored.
package struct OffsetCommitResponse: WireResponse {
    /// What it answers.
    package typealias Request = OffsetCommitRequest

    /// How long the client has been slowed down for its quota (version 3 and up; dropped in
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
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 3, isIgnorable: true)
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package typealias Partition = PartitionResult
}
