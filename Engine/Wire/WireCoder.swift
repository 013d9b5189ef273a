/// Goes through the fields of a message in the order of the bytes: reading them, writing them, or
/// whatever else can be done field by field.
///
/// A message describes its layout once, in `code`, and the coder decides what that means: a
/// `WireReader` sets each field from bytes, a `WireWriter` appends the bytes of each field. The
/// requirements here concern fields that the version has; the calls with `from` and `through`, that
/// messages use, are built on them in `WireCoder+Fields.swift`.
package protocol WireCoder {
    /// The version of the message.
    var version: Int16 { get }
    /// Whether the version has compact lengths and tagged fields (KIP-482).
    var isFlexible: Bool { get }

    /// A big-endian integer of the type's size.
    mutating func integer<Value: FixedWidthInteger>(
        _ field: String, _ value: inout Value) throws(WireError)
    /// One byte: 0 is false, anything else true.
    mutating func truth(_ field: String, _ value: inout Bool) throws(WireError)
    /// UTF-8 text behind its length.
    mutating func text(
        _ field: String, _ value: inout String?, isNullable: Bool) throws(WireError)
    /// Text, or null, behind a length of two bytes in flexible versions too.
    mutating func classicText(_ field: String, _ value: inout String?) throws(WireError)
    /// Bytes behind their length.
    mutating func blob(
        _ field: String, _ value: inout ArraySlice<UInt8>?, isNullable: Bool) throws(WireError)
    /// Bytes behind their length that are sent from elsewhere: see `WireWriter/gaps`. Only what is
    /// written has some.
    mutating func gap(_ field: String, byteCount: Int) throws(WireError)
    /// A count and as many elements. What is read begins as `initial`.
    mutating func list<Element>(
        _ field: String, _ value: inout [Element]?, isNullable: Bool, initial: Element,
        code: (inout Self, inout Element) throws(WireError) -> Void
    ) throws(WireError)
    /// The mark before an optional structure.
    mutating func presence(_ field: String, _ isPresent: inout Bool) throws(WireError)
    /// A field that the version does not have, and that must not get lost.
    mutating func leaveOut(_ field: String, isDefault: Bool) throws(WireError)
    /// The end of a structure: tagged fields in flexible versions, nothing in others. Gives the
    /// unknown tags that the structure has now.
    mutating func tags(
        _ unknown: UnknownTags, known: [KnownTag],
        code: (inout Self, UInt32) throws(WireError) -> Void
    ) throws(WireError) -> UnknownTags
}

/// What stands in a message: a value that knows the order of its fields.
package protocol WireStruct: Sendable, Equatable {
    /// The value with each field at its default.
    init()
    /// Goes through the fields that the coder's version has, in the order of the bytes. A writer
    /// leaves them as they are.
    mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError)
}

/// A request or a response.
package protocol WireMessage: WireStruct {
    /// Reads the fields: `code` with a reader. This and `write` are requirements so that they are
    /// compiled for each message with all that is in it. Called from another module, `code` itself
    /// would go through a table of functions for each field: measured with a Fetch response, twice
    /// the time to read and five times the time to write.
    mutating func read(from reader: inout WireReader) throws(WireError)
    /// Writes the fields: `code` with a writer, which changes nothing.
    mutating func write(to writer: inout WireWriter) throws(WireError)
    /// Which API it belongs to.
    static var api: APIKey { get }
    /// The versions that the code knows, without gaps.
    static var versions: ClosedRange<Int16> { get }
    /// From which version on it is flexible; nil where no version is.
    static var firstFlexibleVersion: Int16? { get }
}

/// A request; all that can be said about an API is said here.
package protocol WireRequest: WireMessage {
    /// What answers it.
    associatedtype Response: WireResponse where Response.Request == Self
    /// Whether bytes behind the request are let pass, as Kafka's broker does with every request.
    /// Here they are an error unless a client is known that sends some.
    static var allowsTrailingBytes: Bool { get }
}

extension WireRequest {
    /// Bytes behind a request are an error.
    package static var allowsTrailingBytes: Bool { false }
}

/// A response; it has the versions of its request.
package protocol WireResponse: WireMessage {
    /// What it answers.
    associatedtype Request: WireRequest where Request.Response == Self
}

extension WireResponse {
    /// The API of the request.
    package static var api: APIKey { Request.api }
    /// The versions of the request.
    package static var versions: ClosedRange<Int16> { Request.versions }
    /// The first flexible version of the request.
    package static var firstFlexibleVersion: Int16? { Request.firstFlexibleVersion }
}

extension WireMessage {
    /// Reads the fields.
    package mutating func read(from reader: inout WireReader) throws(WireError) {
        try code(&reader)
    }

    /// Writes the fields.
    package mutating func write(to writer: inout WireWriter) throws(WireError) {
        try code(&writer)
    }

    /// Whether a version has compact lengths and tagged fields.
    package static func isFlexible(version: Int16) -> Bool {
        firstFlexibleVersion.map { version >= $0 } ?? false
    }

    /// Throws for a version that the code does not know.
    static func requireSupported(version: Int16) throws(WireError) {
        guard versions.contains(version) else {
            throw WireError(
                .unsupportedVersion(api: api.rawValue, version: version), field: "apiVersion",
                position: 0)
        }
    }

    /// Reads the message, without a header, from the first to the last of the bytes.
    package init(decoding bytes: [UInt8], version: Int16) throws(WireError) {
        try Self.requireSupported(version: version)
        var reader = WireReader(
            bytes, version: version, isFlexible: Self.isFlexible(version: version))
        self.init()
        try read(from: &reader)
        try reader.requireEnd()
    }

    /// The bytes of the message, without a header.
    package func encoded(version: Int16) throws(WireError) -> [UInt8] {
        try Self.requireSupported(version: version)
        var writer = WireWriter(version: version, isFlexible: Self.isFlexible(version: version))
        var message = self
        try message.write(to: &writer)
        return writer.bytes
    }
}
