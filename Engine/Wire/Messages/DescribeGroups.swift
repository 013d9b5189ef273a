/// Asks for the state and the members of classic groups.
package struct DescribeGroupsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeGroupsResponse
    /// Its API.
    package static let api = APIKey.describeGroups
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...6
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 5

    /// The groups.
    package var groups: [String] = []
    /// Whether to tell what the client may do (version 3 and up).
    package var includeAuthorizedOperations = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.strings("groups", &groups)
        try coder.bool("includeAuthorizedOperations", &includeAuthorizedOperations, from: 3)
        try coder.tags(&unknownTags)
    }
}

/// The groups that were asked for.
package struct DescribeGroupsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeGroupsRequest

    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// The groups.
    package var groups: [Group] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 1, isIgnorable: true)
        try coder.array("groups", &groups)
        try coder.tags(&unknownTags)
    }

    /// A group.
    package struct Group: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people (version 6 and up; dropped in others).
        package var errorMessage: String?
        /// The group.
        package var groupID = ""
        /// The state of the group, in Kafka's words.
        package var groupState = ""
        /// What kind of group it is: `consumer` for consumers.
        package var protocolType = ""
        /// The name of the assignor that the group uses.
        package var protocolData = ""
        /// The members.
        package var members: [Member] = []
        /// The operations that the client may do, as bits; `Int32.min` where that was not asked for
        /// (version 3 and up).
        package var authorizedOperations: Int32 = .min
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage, from: 6, isIgnorable: true)
            try coder.string("groupID", &groupID)
            try coder.string("groupState", &groupState)
            try coder.string("protocolType", &protocolType)
            try coder.string("protocolData", &protocolData)
            try coder.array("members", &members)
            try coder.int32("authorizedOperations", &authorizedOperations, from: 3, otherwise: .min)
            try coder.tags(&unknownTags)
        }
    }

    /// A member of a group.
    package struct Member: WireStruct {
        /// The member; empty before the coordinator has named it.
        package var memberID = ""
        /// The fixed name of a static member, or null (version 4 and up; dropped in others).
        package var groupInstanceID: String?
        /// The client id of the member.
        package var clientID = ""
        /// The address from which the member came.
        package var clientHost = ""
        /// What the member told when it joined.
        package var memberMetadata: [UInt8] = []
        /// What the member reads; opaque to the broker.
        package var memberAssignment: [UInt8] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("memberID", &memberID)
            try coder.nullableString(
                "groupInstanceID", &groupInstanceID, from: 4, isIgnorable: true)
            try coder.string("clientID", &clientID)
            try coder.string("clientHost", &clientHost)
            try coder.bytes("memberMetadata", &memberMetadata)
            try coder.bytes("memberAssignment", &memberAssignment)
            try coder.tags(&unknownTags)
        }
    }
}
