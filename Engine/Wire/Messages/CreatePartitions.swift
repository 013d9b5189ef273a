/// Topics that are to have more partitions.
package struct CreatePartitionsRequest: WireRequest {
    /// What answers it.
    package typealias Response = CreatePartitionsResponse
    /// Its API.
    package static let api = APIKey.createPartitions
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...3
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 2

    /// The topics.
    package var topics: [Topic] = []
    /// How long the broker may take.
    package var timeoutMilliseconds: Int32 = 0
    /// Whether to check the request and change nothing.
    package var validateOnly = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("topics", &topics)
        try coder.int32("timeoutMilliseconds", &timeoutMilliseconds)
        try coder.bool("validateOnly", &validateOnly)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package struct Topic: WireStruct {
        /// The name.
        package var name = ""
        /// How many partitions the topic is to have.
        package var count: Int32 = 0
        /// The brokers of each new partition, or null to leave that to the controller.
        package var assignments: [Assignment]? = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.int32("count", &count)
            try coder.nullableArray("assignments", &assignments)
            try coder.tags(&unknownTags)
        }
    }

    /// What is assigned.
    package struct Assignment: WireStruct {
        /// The brokers that are to have the partition.
        package var brokerIDs: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.integers("brokerIDs", &brokerIDs)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the topics have got them.
package struct CreatePartitionsResponse: WireResponse {
    /// What it answers.
    package typealias Request = CreatePartitionsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The results, one for each that was asked for.
    package var results: [TopicResult] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("results", &results)
        try coder.tags(&unknownTags)
    }

    /// What became of one topic.
    package struct TopicResult: WireStruct {
        /// The name.
        package var name = ""
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people.
        package var errorMessage: String?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.tags(&unknownTags)
        }
    }
}
