/// What stands before each request.
///
/// Version 2 of the header goes with flexible versions of requests, version 1 with others. (Version
/// 0, without a client id, went with requests between brokers that no longer exist.)
package struct RequestHeader: WireStruct {
    /// The request's API.
    package var api = APIKey.produce
    /// The request's version.
    package var apiVersion: Int16 = 0
    /// A number that the response repeats.
    package var correlationID: Int32 = 0
    /// What the client calls itself.
    package var clientID: String? = ""
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The bytes at the start that are the same in all versions: API, version, correlation id.
    static let fixedByteCount = 8

    /// The header with each field at its default.
    package init() {}

    /// The header of a request.
    package init<Request: WireRequest>(
        _ request: Request.Type, version: Int16, correlationID: Int32, clientID: String?
    ) {
        api = Request.api
        apiVersion = version
        self.correlationID = correlationID
        self.clientID = clientID
    }

    /// The fields; the coder's version is that of the header.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int16("api", &api.rawValue)
        try coder.int16("apiVersion", &apiVersion)
        try coder.int32("correlationID", &correlationID)
        try coder.classicText("clientID", &clientID)
        try coder.tags(&unknownTags)
    }

    /// The version of the header before a version of a request.
    static func version(isFlexible: Bool) -> Int16 { isFlexible ? 2 : 1 }
}
