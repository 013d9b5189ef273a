/// Asks which broker coordinates a group or a transactional id.
package struct FindCoordinatorRequest: WireRequest {
    /// What answers it.
    package typealias Response = FindCoordinatorResponse
    /// Its API.
    package static let api = APIKey.findCoordinator
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...6
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// The group or transactional id (through version 3).
    package var key = ""
    /// What the key is: 0 a group, 1 a transactional id (version 1 and up).
    package var keyType: Int8 = 0
    /// The groups or transactional ids (version 4 and up).
    package var coordinatorKeys: [String] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("key", &key, through: 3)
        try coder.int8("keyType", &keyType, from: 1)
        try coder.strings("coordinatorKeys", &coordinatorKeys, from: 4)
        try coder.tags(&unknownTags)
    }
}

/// The coordinators that were asked for.
package struct FindCoordinatorResponse: WireResponse {
    /// What it answers.
    package typealias Request = FindCoordinatorRequest

    /// How long the client has been slowed down for its quota (version 1 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none` (through version 3).
    package var errorCode = ErrorCode.none
    /// What went wrong, for people (versions 1 to 3; dropped in others).
    package var errorMessage: String? = ""
    /// The broker (through version 3).
    package var nodeID: Int32 = 0
    /// The host name (through version 3).
    package var host = ""
    /// The port (through version 3).
    package var port: Int32 = 0
    /// The coordinators (version 4 and up).
    package var coordinators: [Coordinator] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 1, isIgnorable: true)
        try coder.errorCode("errorCode", &errorCode, through: 3)
        try coder.nullableString(
            "errorMessage", &errorMessage, from: 1, through: 3, isIgnorable: true)
        try coder.int32("nodeID", &nodeID, through: 3)
        try coder.string("host", &host, through: 3)
        try coder.int32("port", &port, through: 3)
        try coder.array("coordinators", &coordinators, from: 4)
        try coder.tags(&unknownTags)
    }

    /// A coordinator.
    package struct Coordinator: WireStruct {
        /// The group or transactional id.
        package var key = ""
        /// The broker.
        package var nodeID: Int32 = 0
        /// The host name.
        package var host = ""
        /// The port.
        package var port: Int32 = 0
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// What went wrong, for people.
        package var errorMessage: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("key", &key)
            try coder.int32("nodeID", &nodeID)
            try coder.string("host", &host)
            try coder.int32("port", &port)
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.tags(&unknownTags)
        }
    }
}
