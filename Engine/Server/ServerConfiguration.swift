public import Logging

/// How a server listens and what it allows, named and preset as Kafka's broker where Kafka has the
/// setting. A value type.
///
/// What is the engine's has its limits there, for embedded clients too: how many members a group
/// may have (`GroupConfiguration.groupSizeMax`), and how much memory those of all groups may take
/// together with what they hand over in JoinGroup and SyncGroup
/// (`GroupConfiguration.memberBytesMax`).
public struct ServerConfiguration: Sendable {
    /// Where it listens: an address of this machine. Anything but a loopback address needs
    /// ``allowsRemoteClients``.
    public var host = "127.0.0.1"
    /// The port; 0 has the system choose one.
    public var port = 9092
    /// Whether ``host`` may be an address that other machines reach. There is no authentication, no
    /// encryption and no access control yet: whoever reaches the port can do everything.
    public var allowsRemoteClients = false
    /// What clients are told to connect to (`advertised.listeners`); nil for where it listens.
    public var advertisedHost: String?
    /// The port that clients are told; nil for the one it listens on.
    public var advertisedPort: Int?

    /// `num.network.threads`: threads that read from and write to connections; at least 1.
    public var networkThreadCount = 2
    /// `socket.request.max.bytes`: a larger request ends its connection.
    public var requestBytesMax = 104_857_600
    /// `queued.max.request.bytes`: what requests that are being received or handled may take
    /// together; connections wait for it. Requests of up to 16 KiB do not count. While others wait,
    /// one that comes more slowly than 1 MiB a second ends its connection. At least
    /// ``requestBytesMax``.
    public var queuedRequestBytesMax = 256 << 20
    /// How long a request may take to arrive once it has begun, in milliseconds.
    public var requestReceiveMilliseconds: Int64 = 60_000
    /// How long a client may leave an answer unread, in milliseconds.
    public var responseSendMilliseconds: Int64 = 60_000
    /// `connections.max.idle.ms`: a connection without a request for so long is ended.
    public var connectionsIdleMillisecondsMax: Int64 = 600_000
    /// `max.connections`: more are ended at once; nil for half of what the process may open.
    public var connectionsMax: Int?
    /// `max.connections.per.ip`: the same for one address.
    public var connectionsPerAddressMax = Int.max
    /// How long ``TallyServer/shutdown()`` waits for requests under way, in milliseconds.
    public var shutdownMilliseconds: Int64 = 5_000

    /// `fetch.max.bytes`: the most bytes that one answer to a fetch has, but for a first batch that
    /// is larger. It takes memory where the engine copies what it reads (`ReadMode.copied`), and
    /// none where it maps.
    public var fetchBytesMax = 57_671_680
    /// `auto.create.topics.enable`: whether asking for a topic creates it. Off, unlike in Kafka: a
    /// name that was mistyped should be an error.
    public var createsTopicsAutomatically = false
    /// `num.partitions`: of topics that are created without a number.
    public var partitionCount = 1
    /// Who may do what; asked for every request.
    public var authorizer: any Authorizer = AllowEverything()
    /// Where the server writes what somebody may ask about later.
    public var logger = Logger(label: "tally.server", factory: { _ in SwiftLogNoOpLogHandler() })

    /// The presets.
    public init() {}

    /// Throws ``ServerError/invalidSetting(name:reason:)``.
    func check() throws(ServerError) {
        func require(_ isGood: Bool, _ name: String, _ reason: String) throws(ServerError) {
            if !isGood { throw .invalidSetting(name: name, reason: reason) }
        }
        try require((0...65_535).contains(port), "port", "a port is 0 to 65535, not \(port)")
        try require(
            advertisedPort.map { (1...65_535).contains($0) } ?? true, "advertised.listeners",
            "a port is 1 to 65535")
        try require(networkThreadCount >= 1, "num.network.threads", "give at least 1")
        try require(
            (1024...Int(Int32.max)).contains(requestBytesMax), "socket.request.max.bytes",
            "give 1024 to \(Int32.max)")
        try require(
            queuedRequestBytesMax >= requestBytesMax, "queued.max.request.bytes",
            "one request of socket.request.max.bytes = \(requestBytesMax) has to fit")
        try require(fetchBytesMax >= 1024, "fetch.max.bytes", "give at least 1024")
        try require(partitionCount >= 1, "num.partitions", "give at least 1")
        try require(connectionsMax ?? 1 >= 1, "max.connections", "give at least 1")
        try require(connectionsPerAddressMax >= 1, "max.connections.per.ip", "give at least 1")
    }
}
