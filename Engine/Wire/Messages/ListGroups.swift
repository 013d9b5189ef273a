/// Asks which groups a broker coordinates.
package struct ListGroupsRequest: WireRequest {
    /// What answers it.
    package typealias Response = ListGroupsResponse
    /// Its API.
    package static let api = APIKey.listGroups
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// Only these states; none means all (version 4 and up).
    package var statesFilter: [String] = []
    /// Only these kinds of groups; none means all (version 5 and up).
    package var typesFilter: [String] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.strings("statesFilter", &statesFilter, from: 4)
        try coder.strings("typesFilter", &typesFilter, from: 5)
        try coder.tags(&unknownTags)
    }
}

/// The groups.
package struct ListGroupsResponse: WireResponse {
    /// What it answers.
    package typealias Request = ListGroupsRequest

    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
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
        try coder.errorCode("errorCode", &errorCode)
        try coder.array("groups", &groups)
        try coder.tags(&unknownTags)
    }

    /// A group.
    package struct Group: WireStruct {
        /// The group.
        package var groupID = ""
        /// What kind of group it is: `consumer` for consumers.
        package var protocolType = ""
        /// The state of the group, in Kafka's words (version 4 and up; dropped in others).
        package var groupState = ""
        /// The kind of the group: `classic` or `consumer` (version 5 and up; dropped in others).
        package var groupType = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("groupID", &groupID)
            try coder.string("protocolType", &protocolType)
            try coder.string("groupState", &groupState, from: 4, isIgnorable: true)
            try coder.string("groupType", &groupType, from: 5, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }
}
