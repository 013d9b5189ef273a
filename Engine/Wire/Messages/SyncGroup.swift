/// The leader hands in the assignment; each other member asks for its part.
package struct SyncGroupRequest: WireRequest {
    /// What answers it.
    package typealias Response = SyncGroupResponse
    /// Its API.
    package static let api = APIKey.syncGroup
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
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
    /// What kind of group it is: `consumer` for consumers (version 5 and up; dropped in
    /// others).
    package var protocolType: String?
    /// The assignor that the group uses (version 5 and up; dropped in others).
    package var protocolName: String?
    /// The assignments, one for each member.
    package var assignments: [MemberAssignment] = []
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
        try coder.nullableString("protocolType", &protocolType, from: 5, isIgnorable: true)
        try coder.nullableString("protocolName", &protocolName, from: 5, isIgnorable: true)
        try coder.array("assignments", &assignments)
        try coder.tags(&unknownTags)
    }

    /// What one member is to read.
    package struct MemberAssignment: WireStruct {
        /// The member; empty before the coordinator has named it.
        package var memberID = ""
        /// What the member is to read; opaque to the broker.
        package var assignment: [UInt8] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("memberID", &memberID)
            try coder.bytes("assignment", &assignment)
            try coder.tags(&unknownTags)
        }
    }
}

/// What the member is to read.
package struct SyncGroupResponse: WireResponse {
    /// What it answers.
    package typealias Request = SyncGroupRequest

    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// What kind of group it is: `consumer` for consumers (version 5 and up; dropped in
    /// others).
    package var protocolType: String?
    /// The assignor that the group uses (version 5 and up; dropped in others).
    package var protocolName: String?
    /// What the member is to read; opaque to the broker.
    package var assignment: [UInt8] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 1, isIgnorable: true)
        try coder.errorCode("errorCode", &errorCode)
        try coder.nullableString("protocolType", &protocolType, from: 5, isIgnorable: true)
        try coder.nullableString("protocolName", &protocolName, from: 5, isIgnorable: true)
        try coder.bytes("assignment", &assignment)
        try coder.tags(&unknownTags)
    }
}
