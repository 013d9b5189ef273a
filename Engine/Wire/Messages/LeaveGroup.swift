/// Members leave a group.
package struct LeaveGroupRequest: WireRequest {
    /// What answers it.
    package typealias Response = LeaveGroupResponse
    /// Its API.
    package static let api = APIKey.leaveGroup
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 4

    /// The group.
    package var groupID = ""
    /// The member; empty before the coordinator has named it (through version 2).
    package var memberID = ""
    /// The members (version 3 and up).
    package var members: [Member] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("groupID", &groupID)
        try coder.string("memberID", &memberID, through: 2)
        try coder.array("members", &members, from: 3)
        try coder.tags(&unknownTags)
    }

    /// A member of a group.
    package struct Member: WireStruct {
        /// The member; empty before the coordinator has named it.
        package var memberID = ""
        /// The fixed name of a static member, or null.
        package var groupInstanceID: String?
        /// Why, for people (version 5 and up; dropped in others).
        package var reason: String?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("memberID", &memberID)
            try coder.nullableString("groupInstanceID", &groupInstanceID)
            try coder.nullableString("reason", &reason, from: 5, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }
}

/// Which of the members left.
package struct LeaveGroupResponse: WireResponse {
    /// What it answers.
    package typealias Request = LeaveGroupRequest

    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// The members (version 3 and up).
    package var members: [Member] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 1, isIgnorable: true)
        try coder.errorCode("errorCode", &errorCode)
        try coder.array("members", &members, from: 3)
        try coder.tags(&unknownTags)
    }

    /// A member of a group.
    package struct Member: WireStruct {
        /// The member; empty before the coordinator has named it.
        package var memberID = ""
        /// The fixed name of a static member, or null.
        package var groupInstanceID: String? = ""
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("memberID", &memberID)
            try coder.nullableString("groupInstanceID", &groupInstanceID)
            try coder.errorCode("errorCode", &errorCode)
            try coder.tags(&unknownTags)
        }
    }
}
