/// Asks for the state and the members of groups of the newer protocol (KIP-848).
package struct ConsumerGroupDescribeRequest: WireRequest {
    /// What answers it.
    package typealias Response = ConsumerGroupDescribeResponse
    /// Its API.
    package static let api = APIKey.consumerGroupDescribe
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...1
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// The groups.
    package var groupIDs: [String] = []
    /// Whether to tell what the client may do.
    package var includeAuthorizedOperations = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.strings("groupIDs", &groupIDs)
        try coder.bool("includeAuthorizedOperations", &includeAuthorizedOperations)
        try coder.tags(&unknownTags)
    }
}

/// The groups that were asked for.
package struct ConsumerGroupDescribeResponse: WireResponse {
    /// What it answers.
    package typealias Request = ConsumerGroupDescribeRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The groups.
    package var groups: [Group] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("groups", &groups)
        try coder.tags(&unknownTags)
    }

    /// A group.
    package struct Group: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people.
        package var errorMessage: String?
        /// The group.
        package var groupID = ""
        /// The state of the group, in Kafka's words.
        package var groupState = ""
        /// The epoch of the group.
        package var groupEpoch: Int32 = 0
        /// The group epoch for which the assignment was worked out.
        package var assignmentEpoch: Int32 = 0
        /// The assignor that the group uses.
        package var assignorName = ""
        /// The members.
        package var members: [Member] = []
        /// The operations that the client may do, as bits; `Int32.min` where that was not asked
        /// for.
        package var authorizedOperations: Int32 = .min
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.string("groupID", &groupID)
            try coder.string("groupState", &groupState)
            try coder.int32("groupEpoch", &groupEpoch)
            try coder.int32("assignmentEpoch", &assignmentEpoch)
            try coder.string("assignorName", &assignorName)
            try coder.array("members", &members)
            try coder.int32("authorizedOperations", &authorizedOperations)
            try coder.tags(&unknownTags)
        }
    }

    /// A member of a group.
    package struct Member: WireStruct {
        /// The member; empty before the coordinator has named it.
        package var memberID = ""
        /// The fixed name of a static member, or null.
        package var instanceID: String?
        /// The rack.
        package var rackID: String?
        /// The epoch of the member.
        package var memberEpoch: Int32 = 0
        /// The client id of the member.
        package var clientID = ""
        /// The address from which the member came.
        package var clientHost = ""
        /// The topics that the member has subscribed to.
        package var subscribedTopicNames: [String] = []
        /// The regular expression for topics, or null.
        package var subscribedTopicExpression: String?
        /// What the member is to read; opaque to the broker.
        package var assignment = Assignment()
        /// What the member is to get.
        package var targetAssignment = Assignment()
        /// Of which protocol the member is: 0 classic, 1 consumer, -1 unknown (version 1 and up;
        /// dropped in others).
        package var memberType: Int8 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("memberID", &memberID)
            try coder.nullableString("instanceID", &instanceID)
            try coder.nullableString("rackID", &rackID)
            try coder.int32("memberEpoch", &memberEpoch)
            try coder.string("clientID", &clientID)
            try coder.string("clientHost", &clientHost)
            try coder.strings("subscribedTopicNames", &subscribedTopicNames)
            try coder.nullableString("subscribedTopicExpression", &subscribedTopicExpression)
            try coder.structure(&assignment)
            try coder.structure(&targetAssignment)
            try coder.int8("memberType", &memberType, from: 1, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }

    /// What is assigned.
    package struct Assignment: WireStruct {
        /// The partitions, topic by topic.
        package var topicPartitions: [TopicPartitions] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.array("topicPartitions", &topicPartitions)
            try coder.tags(&unknownTags)
        }
    }

    /// Partitions of one topic.
    package struct TopicPartitions: WireStruct {
        /// The id of the topic.
        package var topicID = WireUUID.zero
        /// The name of the topic.
        package var topicName = ""
        /// The partitions.
        package var partitions: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.uuid("topicID", &topicID)
            try coder.string("topicName", &topicName)
            try coder.integers("partitions", &partitions)
            try coder.tags(&unknownTags)
        }
    }
}
