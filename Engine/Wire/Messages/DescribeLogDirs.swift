/// Asks how much space partitions take, directory by directory.
package struct DescribeLogDirsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeLogDirsResponse
    /// Its API.
    package static let api = APIKey.describeLogDirs
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 1...4
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 2

    /// The partitions that are wanted, or null for all.
    package var topics: [Topic]? = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.nullableArray("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicPartitions
}

/// The directories and what is in them.
package struct DescribeLogDirsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeLogDirsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none` (version 3 and up; dropped in others).
    package var errorCode = ErrorCode.none
    /// The results, one for each that was asked for.
    package var results: [Directory] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode, from: 3, isIgnorable: true)
        try coder.array("results", &results)
        try coder.tags(&unknownTags)
    }

    /// A directory of logs.
    package struct Directory: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The path of the directory.
        package var logDirectory = ""
        /// The topics.
        package var topics: [Topic] = []
        /// The size of the volume, or -1 (version 4 and up; dropped in others).
        package var totalBytes: Int64 = -1
        /// What is free of it, or -1 (version 4 and up; dropped in others).
        package var usableBytes: Int64 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.string("logDirectory", &logDirectory)
            try coder.array("topics", &topics)
            try coder.int64("totalBytes", &totalBytes, from: 4, isIgnorable: true)
            try coder.int64("usableBytes", &usableBytes, from: 4, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// Its bytes.
        package var partitionSize: Int64 = 0
        /// How far it is behind the partition that it belongs to.
        package var offsetLag: Int64 = 0
        /// Whether the log is one that will take the place of another.
        package var isFuture = false
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int64("partitionSize", &partitionSize)
            try coder.int64("offsetLag", &offsetLag)
            try coder.bool("isFuture", &isFuture)
            try coder.tags(&unknownTags)
        }
    }
}
