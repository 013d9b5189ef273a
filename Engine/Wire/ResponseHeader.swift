/// What stands before each response.
///
/// Version 1 of the header goes with flexible versions of responses, version 0 with others, and
/// with all of ApiVersions: a client that sends its first request does not know yet what the broker
/// understands, and must be able to read the answer.
package struct ResponseHeader: WireStruct {
    /// The number from the request's header.
    package var correlationID: Int32 = 0
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The header with each field at its default.
    package init() {}

    /// The header of the response to a request.
    package init(correlationID: Int32) { self.correlationID = correlationID }

    /// The fields; the coder's version is that of the header.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("correlationID", &correlationID)
        try coder.tags(&unknownTags)
    }

    /// The version of the header before a version of a response.
    static func version(of api: APIKey, isFlexible: Bool) -> Int16 {
        isFlexible && api != .apiVersions ? 1 : 0
    }
}
