public import Tally
import TallyClient

extension Backend {
    /// A Kafka cluster, or anything else that speaks its protocol; nothing is connected before
    /// something is asked for.
    ///
    /// - Parameters:
    ///   - bootstrap: some of its brokers, `HOST:PORT`, separated by commas; one is enough.
    ///   - settings: how to connect.
    /// Throws ``EngineError/invalidSetting(name:reason:)`` where that is no list of brokers.
    public static func kafka(
        bootstrap: String, _ settings: KafkaSettings = KafkaSettings()
    ) throws(EngineError) -> Backend {
        var addresses: [BrokerAddress] = []
        for part in bootstrap.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = BrokerAddress(text: part) else {
                throw .invalidSetting(
                    name: "bootstrap.servers",
                    reason: "\"\(part)\" is not HOST:PORT; separate several with commas")
            }
            addresses.append(address)
        }
        var configuration = ClientConfiguration()
        configuration.clientID = settings.clientID
        configuration.requestMilliseconds = settings.requestTimeoutMilliseconds
        configuration.totalMilliseconds = settings.apiTimeoutMilliseconds
        return Backend(
            KafkaCluster(ClusterClient(bootstrap: addresses, configuration: configuration)))
    }
}

/// How a cluster is spoken to. Names and defaults are those of Kafka's clients.
public struct KafkaSettings: Hashable, Sendable {
    /// `client.id`: what the brokers' logs call this client.
    public var clientID = "tally"
    /// `request.timeout.ms`: how long a broker may take to answer.
    public var requestTimeoutMilliseconds: Int64 = 30_000
    /// `default.api.timeout.ms`: for how long what may work later is tried again.
    public var apiTimeoutMilliseconds: Int64 = 60_000

    /// The defaults.
    public init() {}
}

extension BrokerAddress {
    /// Reads `HOST:PORT`, with brackets around an address that has colons; nil for anything else.
    fileprivate init?(text: Substring) {
        guard let colon = text.lastIndex(of: ":"),
            let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }
}
