/// A member joins a group, or comes back to it in a rebalance.
package struct JoinGroupRequest: WireRequest {
    /// What answers it.
    package typealias Response = JoinGroupResponse
    /// Its API.
    package static let api = APIKey.joinGroup
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 2...9
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 6

    /// The group.
    package var groupID = ""
    /// How long a member may be silent.
    package var sessionTimeoutMilliseconds: Int32 = 0
    /// How long members have to come back in a rebalance.
    package var rebalanceTimeoutMilliseconds: Int32 = -1
    /// The member; empty before the coordinator has named it.
    package var memberID = ""
    /// The fixed name of a static member, or null (version 5 and up).
    package var groupInstanceID: String?
    /// What kind of group it is: `consumer` for consumers.
    package var protocolType = ""
    /// The assignors that the member could use.
    package var protocols: [ProtocolMetadata] = []
    /// Why, for people (version 8 and up; dropped in others).
    package var reason: String?
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("groupID", &groupID)
        try coder.int32("sessionTimeoutMilliseconds", &sessionTimeoutMilliseconds)
        try coder.int32("rebalanceTimeoutMilliseconds", &rebalanceTimeoutMilliseconds)
        try coder.string("memberID", &memberID)
        try coder.nullableString("groupInstanceID", &groupInstanceID, from: 5)
        try coder.string("protocolType", &protocolType)
        try coder.array("protocols", &protocols)
        try coder.nullableString("reason", &reason, from: 8, isIgnorable: true)
        try coder.tags(&unknownTags)
    }

    /// An assignor that the member could use.
    package struct ProtocolMetadata: WireStruct {
        /// The name.
        package var name = ""
        /// Text or bytes that the broker only keeps.
        package var metadata: [UInt8] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("name", &name)
            try coder.bytes("metadata", &metadata)
            try coder.tags(&unknownTags)
        }
    }
}

/// The generation that the member is in; for the leader also who the members are.
package struct JoinGroupResponse: WireResponse {
    /// What it answers.
    package typealias Request = JoinGroupRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// The generation of the group.
    package var generationID: Int32 = -1
    /// What kind of group it is: `consumer` for consumers (version 7 and up; dropped in
    /// others).
    package var protocolType: String?
    /// The assignor that the group uses.
    package var protocolName: String? = ""
    /// The member that leads.
    package var leader = ""
    /// Whether the leader is to leave the assignment as it is (version 9 and up).
    package var skipAssignment = false
    /// The member; empty before the coordinator has named it.
    package var memberID = ""
    /// The members.
    package var members: [Member] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.int32("generationID", &generationID)
        try coder.nullableString("protocolType", &protocolType, from: 7, isIgnorable: true)
        try coder.nullableString("protocolName", &protocolName, nullableFrom: 7)
        try coder.string("leader", &leader)
        try coder.bool("skipAssignment", &skipAssignment, from: 9)
        try coder.string("memberID", &memberID)
        try coder.array("members", &members)
        try coder.tags(&unknownTags)
    }

    /// A member of a group.
    package struct Member: WireStruct {
        /// The member; empty before the coordinator has named it.
        package var memberID = ""
        /// The fixed name of a static member, or null (version 5 and up; dropped in others).
        package var groupInstanceID: String?
        /// Text or bytes that the broker only keeps.
        package var metadata: [UInt8] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("memberID", &memberID)
            try coder.nullableString(
                "groupInstanceID", &groupInstanceID, from: 5, isIgnorable: true)
            try coder.bytes("metadata", &metadata)
            try coder.tags(&unknownTags)
        }
    }
}
