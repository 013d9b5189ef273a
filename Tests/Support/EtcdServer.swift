import Foundation
import Testing

/// A real etcd of a test's own, on 127.0.0.1 if nothing else is said, with a data directory of its
/// own, that may be killed, stopped and started again.
///
/// Thread rule: one task at a time, which is the test's.
package final class EtcdServer: @unchecked Sendable {
    /// How the members of one cluster find each other.
    struct Address {
        var name: String
        var host: String
        var clientPort: Int
        var peerPort: Int
    }

    private let address: Address
    private let cluster: [Address]
    private let directory: TemporaryDirectory
    private let extraArguments: [String]
    private let scheme: String
    private var process: Process?

    init(
        _ address: Address, of cluster: [Address], in directory: TemporaryDirectory,
        scheme: String = "http", extraArguments: [String] = []
    ) {
        self.address = address
        self.cluster = cluster
        self.directory = directory
        self.scheme = scheme
        self.extraArguments = extraArguments
    }

    deinit { kill() }

    /// Where clients find it.
    package var endpoint: String { "\(scheme)://\(address.host):\(address.clientPort)" }

    /// So many of them, started, that make one cluster.
    package static func start(
        _ count: Int = 1, in directory: TemporaryDirectory, host: String = "127.0.0.1",
        scheme: String = "http", extraArguments: [String] = []
    ) async throws -> [EtcdServer] {
        // A port that was free a moment ago may be taken meanwhile.
        for attempt in 0..<5 {
            let ports = try FreePorts.some(2 * count)
            let addresses = (0..<count).map { number in
                Address(
                    name: "m\(number)-\(attempt)", host: host,
                    clientPort: ports[2 * number], peerPort: ports[2 * number + 1])
            }
            let servers = addresses.map {
                EtcdServer(
                    $0, of: addresses, in: directory, scheme: scheme,
                    extraArguments: extraArguments)
            }
            for server in servers { try server.launch() }
            var isReady = true
            for server in servers where isReady { isReady = await server.waitUntilReady() }
            if isReady { return servers }
            for server in servers { server.kill() }
        }
        throw CocoaError(.fileNoSuchFile)
    }

    /// A directory for its data, which are not verified as Tally's logs.
    package static func directory() throws -> TemporaryDirectory {
        try TemporaryDirectory(holdsDamage: true)
    }

    /// Starts it, or starts it again behind `kill`.
    package func launch() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.program))
        let client = endpoint
        let peer = "http://\(address.host):\(address.peerPort)"
        // Elections within a fraction of a second, and leases of a second.
        process.arguments =
            [
                "--name", address.name, "--data-dir", directory.path(address.name),
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster",
                cluster.map { "\($0.name)=http://\($0.host):\($0.peerPort)" }
                    .joined(separator: ","),
                "--heartbeat-interval", "20", "--election-timeout", "200", "--logger", "zap",
            ] + extraArguments
        try Data().write(to: log)
        let handle = try FileHandle(forWritingTo: log)
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        self.process = process
    }

    /// What it writes about itself, of its last start.
    private var log: URL { URL(fileURLWithPath: directory.path("\(address.name).log")) }

    /// Waits until it takes connections and its cluster has a leader; false where it ended.
    package func waitUntilReady() async -> Bool {
        for _ in 0..<1500 {
            guard process?.isRunning == true else { return false }
            let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
            if text.contains("serving client traffic") { return true }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return false
    }

    /// With SIGSTOP, or SIGCONT.
    package func signal(_ number: Int32) {
        guard let process else { return }
        _ = Glibc.kill(process.processIdentifier, number)
    }

    /// With SIGKILL. Its data stay.
    package func kill() {
        guard let process, process.isRunning else { return }
        signal(SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    // MARK: The program

    /// On the PATH, where Debian puts it, or where Tools/Checks/etcd.sh unpacks it.
    static let program: String? = {
        let environment = ProcessInfo.processInfo.environment
        let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let built = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("etcd/usr/bin").path
        return (folders + ["/usr/bin", built]).map { $0 + "/etcd" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    /// Whether there is one; said aloud where there is none, since tests are skipped then. With
    /// `TALLY_REQUIRE_ETCD`, which continuous integration sets, they are not: they fail.
    package static let isThere: Bool = {
        let isRequired = ProcessInfo.processInfo.environment["TALLY_REQUIRE_ETCD"] != nil
        guard program == nil, !isRequired else { return true }
        let text =
            "tests of the coordination store in etcd are SKIPPED: there is no etcd "
            + "(sh Tools/Checks/etcd.sh, or Debian's etcd-server)\n"
        FileHandle.standardError.write(Data(text.utf8))
        return false
    }()
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, saying so, where there is no etcd.
    package static var needsEtcd: Self { .enabled(if: EtcdServer.isThere, "needs etcd") }
}

/// Ports of 127.0.0.1 that nobody listens on.
package enum FreePorts {
    /// So many different ones.
    package static func some(_ count: Int) throws -> [Int] {
        // All are held until the last is known, so that none comes twice.
        var descriptors: [Int32] = []
        defer { for descriptor in descriptors { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            guard descriptor >= 0 else { throw CocoaError(.fileReadUnknown) }
            descriptors.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutableBytes(of: &address) { bytes in
                let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
                return bind(descriptor, pointer, length) == 0
                    && getsockname(descriptor, pointer, &length) == 0
            }
            guard status else { throw CocoaError(.fileReadUnknown) }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
