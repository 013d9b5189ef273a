/// A request with its header: what a frame holds, behind the four bytes of its length.
package struct RequestFrame<Request: WireRequest>: Sendable, Equatable {
    /// The header; its API is the request's.
    package var header: RequestHeader
    /// The request.
    package var body: Request
    /// Bytes behind the request, where it allows them: they mean nothing, and are kept.
    package var trailingBytes: [UInt8]

    /// A request under its header.
    package init(header: RequestHeader, body: Request, trailingBytes: [UInt8] = []) {
        self.header = header
        self.body = body
        self.trailingBytes = trailingBytes
    }

    /// Reads a frame from the first to the last of its bytes. The header has to name this request.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        let peeked = try RequestFrameStart(decoding: bytes)
        guard peeked.api == Request.api, Request.versions.contains(peeked.apiVersion) else {
            throw peeked.unsupported
        }
        let isFlexible = Request.isFlexible(version: peeked.apiVersion)
        var reader = WireReader(
            bytes, version: RequestHeader.version(isFlexible: isFlexible), isFlexible: isFlexible)
        header = RequestHeader()
        try header.code(&reader)
        reader.goOn(version: peeked.apiVersion, isFlexible: isFlexible)
        body = Request()
        try body.read(from: &reader)
        trailingBytes = Request.allowsTrailingBytes ? reader.rest() : []
        try reader.requireEnd()
    }

    /// The bytes, in the version that the header names.
    package func encoded() throws(WireError) -> [UInt8] {
        try Request.requireSupported(version: header.apiVersion)
        let isFlexible = Request.isFlexible(version: header.apiVersion)
        var writer = WireWriter(
            version: RequestHeader.version(isFlexible: isFlexible), isFlexible: isFlexible)
        var (header, body) = (header, body)
        header.api = Request.api
        try header.code(&writer)
        writer.goOn(version: header.apiVersion, isFlexible: isFlexible)
        try body.write(to: &writer)
        return trailingBytes.isEmpty ? writer.bytes : writer.bytes + trailingBytes
    }
}

/// The first bytes of a request, which are the same in all versions of all requests: enough to
/// choose what reads the rest, or to answer that nothing does.
package struct RequestFrameStart: Hashable, Sendable {
    /// The API.
    package var api: APIKey
    /// Its version.
    package var apiVersion: Int16
    /// The number that the response repeats.
    package var correlationID: Int32

    /// Reads the start of a frame.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes, version: 0, isFlexible: false)
        (api, apiVersion, correlationID) = (.produce, 0, 0)
        try reader.int16("api", &api.rawValue)
        try reader.int16("apiVersion", &apiVersion)
        try reader.int32("correlationID", &correlationID)
    }

    /// What to throw where nothing reads the rest.
    var unsupported: WireError {
        WireError(
            .unsupportedVersion(api: api.rawValue, version: apiVersion), field: "apiVersion",
            position: 0)
    }

    /// The answer to an ApiVersions request of a version that is not supported (KIP-511): version
    /// 0, which every client reads, with UNSUPPORTED_VERSION and what is supported instead. The
    /// client then asks again. A frame without its length.
    package func unsupportedVersionResponse() throws(WireError) -> [UInt8] {
        var supported = ApiVersionsResponse.SupportedAPI()
        supported.apiKey = .apiVersions
        supported.minVersion = ApiVersionsRequest.versions.lowerBound
        supported.maxVersion = ApiVersionsRequest.versions.upperBound
        var body = ApiVersionsResponse()
        body.errorCode = .unsupportedVersion
        body.apiKeys = [supported]
        return try ResponseFrame(
            header: ResponseHeader(correlationID: correlationID), body: body
        ).encoded(version: 0)
    }
}
