/// Topics to be created.
package struct CreateTopicsRequest: WireRequest {
    /// What answers it.
    package typealias Response = CreateTopicsResponse
    /// Its API.
    package static let api = APIKey.createTopics
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 2...7
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 5

    /// The topics.
    package var topics: [Topic] = []
    /// How long the broker may take.
    package var timeoutMilliseconds: Int32 = 60000
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
        /// How many partitions; -1 is the broker's default.
        package var partitionCount: Int32 = 0
        /// How many brokers have each partition; -1 is the broker's default.
        package var replicationFactor: Int16 = 0
        /// The brokers of each partition; none leaves that to the controller.
        package var assignments: [Assignment] = []
        /// The settings.
        package var configs: [Entry] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.int32("partitionCount", &partitionCount)
            try coder.int16("replicationFactor", &replicationFactor)
            try coder.array("assignments", &assignments)
            try coder.array("configs", &configs)
            try coder.tags(&unknownTags)
        }
    }

    /// What is assigned.
    package struct Assignment: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The brokers that are to have the partition.
        package var brokerIDs: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.integers("brokerIDs", &brokerIDs)
            try coder.tags(&unknownTags)
        }
    }

    /// One setting.
    package struct Entry: WireStruct {
        /// The name.
        package var name = ""
        /// The value.
        package var value: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.nullableString("value", &value)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the topics were created, and how.
package struct CreateTopicsResponse: WireResponse {
    /// What it answers.
    package typealias Request = CreateTopicsRequest

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
    package struct TopicResult: WireStruct {
        /// The name.
        package var name = ""
        /// The id of the topic (version 7 and up; dropped in others).
        package var topicID = WireUUID.zero
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people.
        package var errorMessage: String? = ""
        /// Why there are no settings, or `none` (version 5 and up; dropped in others).
        package var topicConfigErrorCode = ErrorCode.none
        /// How many partitions; -1 is the broker's default (version 5 and up; dropped in others).
        package var partitionCount: Int32 = -1
        /// How many brokers have each partition; -1 is the broker's default (version 5 and up;
        /// dropped in others).
        package var replicationFactor: Int16 = -1
        /// The settings, or null where they may not be seen (version 5 and up; dropped in others).
        package var configs: [Entry]? = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.uuid("topicID", &topicID, from: 7, isIgnorable: true)
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.int32("partitionCount", &partitionCount, from: 5, isIgnorable: true)
            try coder.int16("replicationFactor", &replicationFactor, from: 5, isIgnorable: true)
            try coder.nullableArray("configs", &configs, from: 5, isIgnorable: true)
            let known = [
                KnownTag(
                    0, "topicConfigErrorCode", from: 5, isSet: topicConfigErrorCode != .none,
                    isIgnorable: true)
            ]
            unknownTags = try coder.tags(unknownTags, known: known) {
                (coder, _) throws(WireError) in
                try coder.errorCode("topicConfigErrorCode", &topicConfigErrorCode)
            }
        }
    }

    /// One setting.
    package struct Entry: WireStruct {
        /// The name.
        package var name = ""
        /// The value.
        package var value: String? = ""
        /// Whether the value cannot be changed.
        package var isReadOnly = false
        /// Where the value comes from, as Kafka numbers it; -1 is unknown.
        package var configSource: Int8 = -1
        /// Whether the value is secret; it is null then.
        package var isSensitive = false
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.nullableString("value", &value)
            try coder.bool("isReadOnly", &isReadOnly)
            try coder.int8("configSource", &configSource)
            try coder.bool("isSensitive", &isSensitive)
            try coder.tags(&unknownTags)
        }
    }
}
