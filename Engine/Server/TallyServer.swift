import Glibc
import Logging
import Metrics
import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization
public import Tally
public import TallyCluster

/// Where a server can be reached.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The host.
    public var host: String
    /// The port.
    public var port: Int

    /// An address.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Host and port with a colon between them.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Lets Kafka clients use an engine: listens with the Kafka protocol, over the same files, groups
/// and offsets as the application that has linked the engine.
///
/// ```swift
/// let server = try TallyServer(engine: engine)
/// let address = try await server.start()
/// ```
///
/// It listens on a loopback address unless ``ServerConfiguration/allowsRemoteClients`` says
/// otherwise. Shut it down before the engine is closed. Thread rule: any thread and task.
public final class TallyServer: Service {
    private let engine: Engine
    private let cluster: ClusterNode?
    private let configuration: ServerConfiguration
    private let register: ConnectionRegister
    private let budget: MemoryBudget
    private let state = Mutex(State())

    private struct State {
        var hasStarted = false
        var hasStopped = false
        var threads: MultiThreadedEventLoopGroup?
        var listener: (any Channel)?
        var executors: [NetworkExecutor] = []
    }

    /// A server of an engine; it does not listen yet.
    ///
    /// - Parameter cluster: what the engine is a member of; nil where it stands alone. To be
    ///   started behind the server, since it tells others where that is.
    ///
    /// Throws ``ServerError/invalidSetting(name:reason:)``.
    public init(
        engine: Engine, cluster: ClusterNode? = nil,
        configuration: ServerConfiguration = ServerConfiguration()
    ) throws(ServerError) {
        try configuration.check()
        self.engine = engine
        self.cluster = cluster
        self.configuration = configuration
        budget = MemoryBudget(byteCount: configuration.queuedRequestBytesMax)
        register = ConnectionRegister(
            countMax: configuration.connectionsMax ?? Self.defaultConnectionsMax,
            countPerAddressMax: configuration.connectionsPerAddressMax)
    }

    /// Half of what the process may open; the engine's files have the other half.
    private static var defaultConnectionsMax: Int {
        let descriptors = Int(clamping: sysconf(Int32(_SC_OPEN_MAX)))
        return max(descriptors / 2 - 32, 16)
    }

    /// How many connections are open.
    public var connectionCount: Int { register.count }

    /// Begins to listen; on return clients can connect.
    ///
    /// - Returns: where, with the port that the system chose where 0 was asked for.
    ///
    /// Throws ``ServerError``.
    @discardableResult
    public func start() async throws -> ServerAddress {
        let isFirst = state.withLock { state in
            defer { state.hasStarted = true }
            return !state.hasStarted
        }
        guard isFirst else { throw ServerError.alreadyStarted }
        let address: SocketAddress
        do {
            address = try SocketAddress.makeAddressResolvingHost(
                configuration.host, port: configuration.port)
        } catch {
            throw cannotListen("\(error)")
        }
        guard address.isLoopback || configuration.allowsRemoteClients else {
            throw ServerError.remoteAddress(host: configuration.host)
        }
        let threads = MultiThreadedEventLoopGroup(
            numberOfThreads: configuration.networkThreadCount)
        do {
            return try await listen(at: address, with: threads)
        } catch {
            try? await threads.shutdownGracefully()
            throw error as? ServerError ?? cannotListen("\(error)")
        }
    }

    private func cannotListen(_ reason: String) -> ServerError {
        .cannotListen(host: configuration.host, port: configuration.port, reason: reason)
    }

    private func listen(
        at address: SocketAddress, with threads: MultiThreadedEventLoopGroup
    ) async throws -> ServerAddress {
        // The port is known when it is bound, and connections may come at once: they wait.
        let broker = Mutex<Broker?>(nil)
        let (configuration, register, budget) = (configuration, register, budget)
        let (files, pool) = (FileAllowance(count: 64), FramePool())
        let executors = Dictionary(
            uniqueKeysWithValues: threads.makeIterator().map { loop in
                (ObjectIdentifier(loop), NetworkExecutor(loop: loop, workers: engine.workers))
            })
        let limits = ConnectionLimits(configuration)
        ServerMetrics.connections.record(0)
        let bootstrap = ServerBootstrap(group: threads)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.autoRead, value: false)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let host = channel.remoteAddress?.ipAddress ?? ""
                guard let broker = broker.withLock({ $0 }),
                    let executor = executors[ObjectIdentifier(channel.eventLoop)],
                    register.add(channel, from: host)
                else {
                    ServerMetrics.refusals.increment()
                    return channel.close()
                }
                let reader = FrameReader(
                    byteCountMax: configuration.requestBytesMax, budget: budget, pool: pool)
                let connection = Connection(
                    broker: broker, reader: reader, budget: budget, pool: pool,
                    executor: executor, files: files, register: register, limits: limits,
                    client: ClientIdentity(host: "/" + host, principal: .anonymous))
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(reader, connection)
                }
            }
        let listener = try await bootstrap.bind(to: address).get()
        let port = listener.localAddress?.port ?? configuration.port
        let reached = ServerAddress(host: configuration.host, port: port)
        let advertised = ServerAddress(
            host: configuration.advertisedHost ?? configuration.host,
            port: configuration.advertisedPort ?? port)
        broker.withLock {
            $0 = Broker(
                engine: engine, cluster: cluster, configuration: configuration,
                address: advertised)
        }
        let isWanted = state.withLock { state in
            guard !state.hasStopped else { return false }
            state.threads = threads
            state.listener = listener
            state.executors = Array(executors.values)
            return true
        }
        guard isWanted else {
            try? await listener.close()
            throw ServerError.alreadyStarted
        }
        try await listener.setOption(.autoRead, value: true).get()
        return reached
    }

    /// Serves until the surrounding service group shuts down or the task is cancelled, then shuts
    /// down. Starts where ``start()`` was not called before.
    public func run() async throws {
        if !state.withLock({ $0.hasStarted }) { try await start() }
        // Cancelled: connections are ended in order all the same.
        try? await gracefulShutdown()
        await shutdown()
    }

    /// Takes no more connections, lets requests under way finish, and ends all connections. Returns
    /// when that is done, ``ServerConfiguration/shutdownMilliseconds`` later at most. Doing it
    /// twice is doing it once.
    public func shutdown() async {
        let (listener, threads, executors) = state.withLock { state in
            (state.hasStarted, state.hasStopped) = (true, true)
            defer { (state.listener, state.threads, state.executors) = (nil, nil, []) }
            return (state.listener, state.threads, state.executors)
        }
        try? await listener?.close()
        let channels = register.stop()
        for channel in channels {
            channel.pipeline.fireUserInboundEventTriggered(ServerStopping())
        }
        let limit = ContinuousClock.now + .milliseconds(configuration.shutdownMilliseconds)
        while register.count > 0, ContinuousClock.now < limit {
            try? await Task.sleep(for: .milliseconds(5))
        }
        for channel in register.stop() { channel.close(promise: nil) }
        for executor in executors { await executor.stop() }
        try? await threads?.shutdownGracefully()
    }
}

extension SocketAddress {
    /// Whether only this machine reaches it.
    fileprivate var isLoopback: Bool {
        guard let ipAddress else { return true }
        return ipAddress == "::1" || ipAddress.hasPrefix("127.")
    }
}
