/// Topics to be deleted.
package struct DeleteTopicsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DeleteTopicsResponse
    /// Its API.
    package static let api = APIKey.deleteTopics
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 1...6
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 4

    /// The topics (version 6 and up).
    package var topics: [Topic] = []
    /// The names of the topics (through version 5; dropped in others).
    package var topicNames: [String] = []
    /// How long the broker may take.
    package var timeoutMilliseconds: Int32 = 0
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("topics", &topics, from: 6)
        try coder.strings("topicNames", &topicNames, through: 5, isIgnorable: true)
        try coder.int32("timeoutMilliseconds", &timeoutMilliseconds)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package struct Topic: WireStruct {
        /// The name.
        package var name: String?
        /// The id of the topic.
        package var topicID = WireUUID.zero
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.nullableString("name", &name)
            try coder.uuid("topicID", &topicID)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the topics were deleted.
package struct DeleteTopicsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DeleteTopicsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The results, one for each that was asked for.
    package var responses: [TopicResult] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("responses", &responses)
        try coder.tags(&unknownTags)
    }

    /// What became of one topic.
    package struct TopicResult: WireStruct {
        /// The name.
        package var name: String? = ""
        /// The id of the topic (version 6 and up; dropped in others).
        package var topicID = WireUUID.zero
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people (version 5 and up; dropped in others).
        package var errorMessage: String?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.nullableString("name", &name, nullableFrom: 6)
            try coder.uuid("topicID", &topicID, from: 6, isIgnorable: true)
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage, from: 5, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }
}
