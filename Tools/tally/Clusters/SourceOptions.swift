import ArgumentParser
import TallyClient

/// What every command takes that reads another cluster.
struct SourceOptions: ParsableArguments {
    @Option(help: "Brokers of the cluster, HOST:PORT, separated by commas; one of them is enough.")
    var from: BrokerList

    @Option(help: "The topics, separated by commas.")
    var topics: NameList

    @Option(help: "For how many seconds what fails is tried again.")
    var timeout = 60

    /// A client of the cluster; it has no connection yet.
    var cluster: ClusterClient {
        var configuration = ClientConfiguration()
        configuration.totalMilliseconds = Int64(timeout) * 1000
        return ClusterClient(bootstrap: from.addresses, configuration: configuration)
    }

    func validate() throws {
        guard timeout >= 1 else { throw ValidationError("--timeout wants 1 second or more.") }
    }
}

/// Brokers, as `HOST:PORT,HOST:PORT`.
struct BrokerList: ExpressibleByArgument, Hashable, Sendable {
    /// As it was given.
    let text: String
    let addresses: [BrokerAddress]

    init?(argument: String) {
        text = argument
        let places = argument.split(separator: ",").map { HostAndPort(argument: String($0)) }
        addresses = places.compactMap { place in
            place.map { BrokerAddress(host: $0.host, port: $0.port) }
        }
        guard !addresses.isEmpty, addresses.count == places.count else { return nil }
    }
}

/// Names, separated by commas; each once.
struct NameList: ExpressibleByArgument, Hashable, Sendable {
    let names: [String]

    init?(argument: String) {
        let parts = argument.split(separator: ",").map(String.init)
        names = parts.enumerated().filter { !parts[..<$0.offset].contains($0.element) }
            .map(\.element)
        guard !names.isEmpty else { return nil }
    }
}
