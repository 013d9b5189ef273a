/// Groups to be deleted with their offsets.
package struct DeleteGroupsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DeleteGroupsResponse
    /// Its API.
    package static let api = APIKey.deleteGroups
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...2
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 2

    /// The groups.
    package var groupNames: [String] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.strings("groupNames", &groupNames)
        try coder.tags(&unknownTags)
    }
}

/// Which of the groups were deleted.
package struct DeleteGroupsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DeleteGroupsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The results, one for each that was asked for.
    package var results: [GroupResult] = []
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

    /// What became of one group.
    package struct GroupResult: WireStruct {
        /// The group.
        package var groupID = ""
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("groupID", &groupID)
            try coder.errorCode("errorCode", &errorCode)
            try coder.tags(&unknownTags)
        }
    }
}
