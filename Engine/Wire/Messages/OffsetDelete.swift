/// Stored offsets of a group to be deleted.
package struct OffsetDeleteRequest: WireRequest {
    /// What answers it.
    package typealias Response = OffsetDeleteResponse
    /// Its API.
    package static let api = APIKey.offsetDelete
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...0
    /// No version is flexible.
    package static let firstFlexibleVersion: Int16? = nil

    /// The group.
    package var groupID = ""
    /// The topics.
    package var topics: [Topic] = []

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("groupID", &groupID)
        try coder.array("topics", &topics)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
        }
    }
}

/// Which of the offsets were deleted.
package struct OffsetDeleteResponse: WireResponse {
    /// What it answers.
    package typealias Request = OffsetDeleteRequest

    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The topics.
    package var topics: [Topic] = []

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.errorCode("errorCode", &errorCode)
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("topics", &topics)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.errorCode("errorCode", &errorCode)
        }
    }
}
