/// A response with its header: what a frame holds, behind the four bytes of its length. The version
/// does not stand in it; it is that of the request with the same correlation id.
package struct ResponseFrame<Response: WireResponse>: Sendable, Equatable {
    /// The header.
    package var header: ResponseHeader
    /// The response.
    package var body: Response

    /// A response under its header.
    package init(header: ResponseHeader, body: Response) {
        self.header = header
        self.body = body
    }

    /// Reads a frame from the first to the last of its bytes.
    package init(decoding bytes: [UInt8], version: Int16) throws(WireError) {
        try Response.requireSupported(version: version)
        let isFlexible = Response.isFlexible(version: version)
        let headerVersion = ResponseHeader.version(of: Response.api, isFlexible: isFlexible)
        var reader = WireReader(bytes, version: headerVersion, isFlexible: headerVersion == 1)
        header = ResponseHeader()
        try header.code(&reader)
        reader.goOn(version: version, isFlexible: isFlexible)
        body = Response()
        try body.read(from: &reader)
        try reader.requireEnd()
    }

    /// The bytes.
    package func encoded(version: Int16) throws(WireError) -> [UInt8] {
        try encodedAroundGaps(version: version).bytes
    }

    /// The bytes without those that are sent from elsewhere, and where those belong: see
    /// `WireWriter/gaps`.
    package func encodedAroundGaps(
        version: Int16
    ) throws(WireError) -> (bytes: [UInt8], gaps: [Int]) {
        try Response.requireSupported(version: version)
        let isFlexible = Response.isFlexible(version: version)
        let headerVersion = ResponseHeader.version(of: Response.api, isFlexible: isFlexible)
        var writer = WireWriter(version: headerVersion, isFlexible: headerVersion == 1)
        var (header, body) = (header, body)
        try header.code(&writer)
        writer.goOn(version: version, isFlexible: isFlexible)
        try body.write(to: &writer)
        return (writer.bytes, writer.gaps)
    }
}
