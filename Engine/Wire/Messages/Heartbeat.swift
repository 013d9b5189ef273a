/// A member tells that it is alive.
package struct HeartbeatRequest: WireRequest {
    /// What answers it.
    package typealias Response = HeartbeatResponse
    /// Its API.
    package static let api = APIKey.heartbeat
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...4
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 4

    /// The group.
    package var groupID = ""
    /// The generation of the group.
    package var generationID: Int32 = 0
    /// The member; empty before the coordinator has named it.
    package var memberID = ""
    /// The fixed name of a static member, or null (version 3 and up).
    package var groupInstanceID: String?
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("groupID", &groupID)
        try coder.int32("generationID", &generationID)
        try coder.string("memberID", &memberID)
        try coder.nullableString("groupInstanceID", &groupInstanceID, from: 3)
        try coder.tags(&unknownTags)
    }
}

/// Whether the member is still in its group, and whether a rebalance is going on.
package struct HeartbeatResponse: WireResponse {
    /// What it answers.
    package typealias Request = HeartbeatRequest

    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 1, isIgnorable: true)
        try coder.errorCode("errorCode", &errorCode)
        try coder.tags(&unknownTags)
    }
}
