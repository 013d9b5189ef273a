package import TallyWire

/// Which versions of which requests a broker knows, as it said when the connection began.
package struct BrokerVersions: Hashable, Sendable {
    /// The broker that said so.
    package let address: BrokerAddress
    /// By request.
    package let ranges: [APIKey: ClosedRange<Int16>]

    /// What an answer to ApiVersions says. Ranges that make no sense are left out.
    init(_ response: ApiVersionsResponse, of address: BrokerAddress) {
        self.address = address
        var ranges: [APIKey: ClosedRange<Int16>] = [:]
        for api in response.apiKeys where api.minVersion <= api.maxVersion {
            ranges[api.apiKey] = api.minVersion...api.maxVersion
        }
        self.ranges = ranges
    }

    /// The newest version of a request that both sides know.
    ///
    /// - Parameter limit: no newer one than this, for what newer versions cannot say.
    /// Throws ``ClientError/unsupportedVersion(_:request:known:offered:)``.
    package func version<Request: WireRequest>(
        of request: Request.Type, atMost limit: Int16 = .max
    ) throws(ClientError) -> Int16 {
        let known = Request.versions
        let offered = ranges[Request.api]
        let newest = min(known.upperBound, offered?.upperBound ?? -1, limit)
        guard let offered, newest >= known.lowerBound, newest >= offered.lowerBound else {
            throw .unsupportedVersion(
                address, request: Request.name, known: known, offered: offered)
        }
        return newest
    }
}

extension WireRequest {
    /// What people call it: `Fetch` for `FetchRequest`.
    package static var name: String {
        let name = "\(Self.self)"
        return name.hasSuffix("Request") ? String(name.dropLast("Request".count)) : name
    }
}
