import ArgumentParser
import Foundation
import Logging
import Metrics
import Tally
import TallyCluster
import TallyPrometheus
import TallyServer
import TallyStateStore

/// `tally serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Let Kafka clients use a data directory.",
        discussion: """
            Listens with the Kafka protocol. The first line of standard output says where, as soon \
            as clients can connect. Ctrl-C or SIGTERM takes no more connections, lets requests \
            under way finish, and closes the data directory in order.

            Settings have Kafka's names. They come from --config FILE, a line name=value each, \
            and from the environment: TALLY_NUM_PARTITIONS=4 is num.partitions=4. Options here \
            win over the environment, and that over the file. Settings are:

            \(ServeSettings.help)

            There is no authentication and no encryption: whoever reaches the port can do \
            everything. So it listens on a loopback address unless --allow-remote is given.
            """)

    @Option(
        help: "Where to listen, HOST:PORT; port 0: the system chooses. (default: 127.0.0.1:9092)")
    var listen: HostAndPort?

    @Option(help: "What clients are told to connect to, HOST:PORT. (default: where it listens)")
    var advertise: HostAndPort?

    @Option(
        help: ArgumentHelp(
            "The cluster to be a member of: \(ClusterStore.help)", valueName: "store"))
    var cluster: ClusterStore?

    @Option(help: "This member's number in the cluster.")
    var nodeID: Int32?

    @Option(help: "The rack or zone that this member is in.")
    var rack: String?

    @Option(help: "A file of settings.")
    var config: String?

    @Option(help: "Where to tell metrics, HOST:PORT: /metrics, /livez, /readyz.")
    var metricsListen: HostAndPort?

    @Flag(help: "Allow an address that other machines reach.")
    var allowRemote = false

    @OptionGroup var data: DataOptions

    func run() async throws {
        let settings = try settings()
        let directory = data.data
        let exporter = settings.metrics == nil ? nil : PrometheusRegistry()
        if let exporter { MetricsSystem.bootstrap(exporter) }
        try await interruptible {
            try await Self.serve(settings, directory, exporter)
        }
    }

    private func settings() throws -> ServeSettings {
        var settings = ServeSettings()
        if let config { try settings.read(file: config) }
        try settings.read(environment: ProcessInfo.processInfo.environment)
        if let listen { (settings.server.host, settings.server.port) = (listen.host, listen.port) }
        if let advertise {
            settings.server.advertisedHost = advertise.host
            settings.server.advertisedPort = advertise.port
        }
        if let metricsListen { settings.metrics = metricsListen }
        if let cluster { settings.clusterStore = cluster }
        if let nodeID { settings.cluster.nodeID = nodeID }
        if let rack { settings.cluster.rack = rack }
        if allowRemote { settings.server.allowsRemoteClients = true }
        return settings
    }

    private static func serve(
        _ settings: ServeSettings, _ directory: String, _ exporter: PrometheusRegistry?
    ) async throws {
        var settings = settings
        var logger = Logger(label: "tally") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.logLevel
        settings.engine.logger = logger
        settings.server.logger = logger
        settings.engine.state = .sqlite
        settings.engine.transactions.areProducersRemote = true
        var metrics: MetricsEndpoint?
        if let address = settings.metrics {
            let isLocal = address.host == "localhost" || address.host == "::1"
            guard isLocal || address.host.hasPrefix("127.") || settings.server.allowsRemoteClients
            else { throw ServerError.remoteAddress(host: address.host) }
            metrics = try await MetricsEndpoint.start(host: address.host, port: address.port)
        }
        do {
            settings.cluster.logger = logger
            let store = try settings.clusterStore?.open(creating: true)
            if let store {
                try await ClusterNode.join(&settings.engine, through: store, settings.cluster)
            }
            let engine = try await Engine.open(at: directory, configuration: settings.engine)
            let node = store.map {
                ClusterNode(engine: engine, store: $0, configuration: settings.cluster)
            }
            do {
                try await serve(engine, node, settings, metrics, exporter)
            } catch {
                try? await engine.close()
                throw error
            }
            try await engine.close()
        } catch {
            await metrics?.stop()
            throw error
        }
        await metrics?.stop()
    }

    private static func serve(
        _ engine: Engine, _ node: ClusterNode?, _ settings: ServeSettings,
        _ metrics: MetricsEndpoint?, _ exporter: PrometheusRegistry?
    ) async throws {
        let server = try TallyServer(
            engine: engine, cluster: node, configuration: settings.server)
        let address = try await server.start()
        if let node {
            do {
                try await node.start(
                    host: settings.server.advertisedHost ?? address.host,
                    port: Int32(settings.server.advertisedPort ?? address.port))
            } catch {
                // Ended before it was registered.
                await node.stop()
                await server.shutdown()
                throw error
            }
        }
        if settings.server.allowsRemoteClients {
            Console.note(
                "Warning: no authentication, no encryption: whoever reaches \(address) can do "
                    + "everything.")
        }
        if let metrics {
            Console.note("Metrics: http://\(metrics.address)/metrics")
            metrics.serve { exporter?.text() ?? "" }
        }
        let output = Output(descriptor: STDOUT_FILENO)
        try output.write(line: "Listening on \(address)")
        try output.flush()
        // Until it is cancelled.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
        metrics?.stopBeingReady()
        // Others lead what it led before it stops answering.
        await node?.leave()
        await server.shutdown()
        Console.note("Stopped.")
    }
}

/// `HOST:PORT`, or `[HOST]:PORT` for a host with colons.
struct HostAndPort: ExpressibleByArgument, Hashable, Sendable {
    var host: String
    var port: Int

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"),
            let port = Int(argument[argument.index(after: colon)...]), (0...65_535).contains(port)
        else { return nil }
        var host = String(argument[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard !host.isEmpty else { return nil }
        self.host = host
        self.port = port
    }
}
