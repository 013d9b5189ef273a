import Foundation
import Logging
import Tally
import TallyCluster
import TallyServer

/// What `tally serve` is told by a file, the environment and options. A value.
struct ServeSettings {
    var engine = EngineConfiguration()
    var server = ServerConfiguration()
    var metrics: HostAndPort?
    /// What it is a member of; nil where it stands alone.
    var clusterStore: ClusterStore?
    var cluster = ClusterConfiguration(nodeID: 1)
    var logLevel = Logger.Level.info

    /// A setting: its name, and what it does with a value; false where the value is none.
    private struct Setting {
        var name: String
        var help: String
        var apply: @Sendable (inout ServeSettings, String) -> Bool
    }

    private typealias Field<Value> = WritableKeyPath<ServeSettings, Value> & Sendable

    private static func whole(
        _ name: String, _ help: String, _ path: any Field<Int>
    ) -> Setting {
        Setting(name: name, help: help) { settings, text in
            guard let number = Int(text) else { return false }
            settings[keyPath: path] = number
            return true
        }
    }

    private static func milliseconds(
        _ name: String, _ help: String, _ path: any Field<Int64>
    ) -> Setting {
        Setting(name: name, help: help) { settings, text in
            guard let number = Int64(text), number >= 0 else { return false }
            settings[keyPath: path] = number
            return true
        }
    }

    private static func truth(
        _ name: String, _ help: String, _ path: any Field<Bool>
    ) -> Setting {
        Setting(name: name, help: help) { settings, text in
            guard let value = Bool(text) else { return false }
            settings[keyPath: path] = value
            return true
        }
    }

    private static let all: [Setting] = [
        Setting(name: "listeners", help: "HOST:PORT, or PLAINTEXT://HOST:PORT") {
            guard let address = HostAndPort(listener: $1) else { return false }
            ($0.server.host, $0.server.port) = (address.host, address.port)
            return true
        },
        Setting(name: "advertised.listeners", help: "HOST:PORT, or PLAINTEXT://HOST:PORT") {
            guard let address = HostAndPort(listener: $1) else { return false }
            ($0.server.advertisedHost, $0.server.advertisedPort) = (address.host, address.port)
            return true
        },
        Setting(name: "tally.metrics.listener", help: "HOST:PORT of /metrics, /livez, /readyz") {
            guard let address = HostAndPort(listener: $1) else { return false }
            $0.metrics = address
            return true
        },
        Setting(name: "tally.durability", help: "synced, buffered, or interval:MILLISECONDS") {
            guard let durability = Durability(text: $1) else { return false }
            $0.engine.durability = durability
            return true
        },
        Setting(name: "tally.log.level", help: "debug, info, warning or error") {
            guard let level = Logger.Level(rawValue: $1) else { return false }
            $0.logLevel = level
            return true
        },
        Setting(name: "tally.cluster.store", help: ClusterStore.help) {
            guard let store = ClusterStore(argument: $1) else { return false }
            $0.clusterStore = store
            return true
        },
        Setting(name: "node.id", help: "this member's number in the cluster (1)") {
            guard let number = Int32($1), number >= 0 else { return false }
            $0.cluster.nodeID = number
            return true
        },
        Setting(name: "broker.rack", help: "what fails together with this member") {
            $0.cluster.rack = $1.isEmpty ? nil : $1
            return true
        },
        Setting(name: "default.replication.factor", help: "of topics in a cluster (1)") {
            guard let number = Int16($1), number > 0 else { return false }
            $0.cluster.replicationFactor = number
            return true
        },
        Setting(
            name: "offsets.topic.replication.factor",
            help: "of the topics that keep groups and transactions (3)"
        ) {
            guard let number = Int16($1), number > 0 else { return false }
            $0.cluster.internalTopicsReplicationFactor = number
            return true
        },
        Setting(
            name: "offsets.topic.num.partitions",
            help: "of the topics that keep groups and transactions (50)"
        ) {
            guard let number = Int32($1), number > 0 else { return false }
            $0.cluster.internalTopicsPartitionCount = number
            return true
        },
        milliseconds(
            "broker.session.timeout.ms", "after which a member counts as gone (9000)",
            \.cluster.sessionTimeoutMilliseconds),
        milliseconds(
            "replica.lag.time.max.ms", "after which a follower is not in sync (30000)",
            \.cluster.lagMillisecondsMax),
        Setting(name: "leader.imbalance.check.interval.seconds", help: "0 for never (300)") {
            guard let seconds = Int64($1), seconds >= 0 else { return false }
            $0.cluster.leaderImbalanceCheckSeconds = seconds == 0 ? nil : seconds
            return true
        },
        Setting(
            name: "follower.replication.throttled.rate",
            help: "bytes a second of replicas that catch up (no limit)"
        ) {
            guard let number = Int($1), number > 0 else { return false }
            $0.cluster.throttledBytesPerSecond = number
            return true
        },
        Setting(
            name: "num.replica.fetchers",
            help: "connections to a leader for partitions with traffic, 1 to 64 (2)"
        ) {
            guard let number = Int($1), (1...64).contains(number) else { return false }
            $0.cluster.fetchersPerLeader = number
            return true
        },
        truth(
            "auto.create.topics.enable", "whether asking for a topic creates it (false)",
            \.server.createsTopicsAutomatically),
        whole("num.partitions", "of topics created without a number (1)", \.server.partitionCount),
        whole("num.network.threads", "(2)", \.server.networkThreadCount),
        whole("num.io.threads", "threads for file work (48)", \.engine.threadsMax),
        whole("socket.request.max.bytes", "(104857600)", \.server.requestBytesMax),
        whole("queued.max.request.bytes", "(268435456)", \.server.queuedRequestBytesMax),
        whole("fetch.max.bytes", "(57671680)", \.server.fetchBytesMax),
        Setting(name: "max.connections", help: "(half of ulimit -n)") {
            guard let number = Int($1) else { return false }
            $0.server.connectionsMax = number
            return true
        },
        whole(
            "max.connections.per.ip", "(2147483647)", \.server.connectionsPerAddressMax),
        milliseconds(
            "connections.max.idle.ms", "(600000)", \.server.connectionsIdleMillisecondsMax),
        milliseconds(
            "tally.request.receive.timeout.ms", "for a request that has begun to come (60000)",
            \.server.requestReceiveMilliseconds),
        milliseconds(
            "tally.response.send.timeout.ms", "for an answer that nobody reads (60000)",
            \.server.responseSendMilliseconds),
        milliseconds(
            "tally.shutdown.timeout.ms", "for requests under way (5000)",
            \.server.shutdownMilliseconds),
        milliseconds(
            "group.initial.rebalance.delay.ms", "(0)",
            \.engine.groups.initialRebalanceDelayMilliseconds),
        milliseconds(
            "group.min.session.timeout.ms", "(6000)",
            \.engine.groups.sessionTimeoutMillisecondsMin),
        milliseconds(
            "group.max.session.timeout.ms", "(1800000)",
            \.engine.groups.sessionTimeoutMillisecondsMax),
        whole("group.max.size", "(no limit)", \.engine.groups.groupSizeMax),
        whole(
            "tally.group.members.max.bytes", "of members of all groups (67108864)",
            \.engine.groups.memberBytesMax),
        whole(
            "offset.metadata.max.bytes", "(4096)", \.engine.groups.offsetMetadataBytesMax),
        Setting(name: "offsets.retention.minutes", help: "(10080)") {
            guard let minutes = Int64($1), minutes >= 0, minutes <= 1 << 32 else { return false }
            $0.engine.groups.offsetsRetentionMilliseconds = minutes * 60_000
            return true
        },
        Setting(name: "transaction.max.timeout.ms", help: "(900000)") {
            guard let number = Int32($1), number > 0 else { return false }
            $0.engine.transactions.transactionTimeoutMillisecondsMax = number
            return true
        },
        milliseconds(
            "transactional.id.expiration.ms", "(604800000)",
            \.engine.transactions.idExpirationMilliseconds),
        milliseconds(
            "producer.id.expiration.ms", "(86400000)", \.engine.producerExpirationMilliseconds),
        milliseconds(
            "log.retention.check.interval.ms", "(300000)",
            \.engine.retentionCheckIntervalMilliseconds),
        truth("log.cleaner.enable", "(true)", \.engine.isCleanerEnabled),
        whole("log.cleaner.threads", "(1)", \.engine.cleanerThreadsMax),
        whole(
            "log.cleaner.dedupe.buffer.size", "(134217728)", \.engine.cleanerDedupeBufferBytes),
    ]

    /// All settings, a line each.
    static var help: String {
        all.map { "  \($0.name) \($0.help)" }.joined(separator: "\n")
    }

    // MARK: Reading

    private mutating func set(_ name: String, to value: String, from source: String) throws {
        guard let setting = Self.all.first(where: { $0.name == name }) else {
            throw CommandFailure(
                "\(source): there is no setting \(name); see tally serve --help",
                exitCode: ExitCodes.usage)
        }
        guard setting.apply(&self, value) else {
            throw CommandFailure(
                "\(source): \(name) cannot be \"\(value)\" \(setting.help)",
                exitCode: ExitCodes.usage)
        }
    }

    /// Takes a file of settings: `name=value`, a line each; lines with `#` in front, and empty
    /// ones, say nothing.
    mutating func read(file path: String) throws {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw CommandFailure(
                "the file of settings \(path) cannot be read", exitCode: ExitCodes.noInput)
        }
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let line = line.trimmingCharacters(in: .whitespaces)
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            guard let equals = line.firstIndex(of: "=") else {
                throw CommandFailure(
                    "\(path), line \(index + 1): \"\(line)\" is not name=value",
                    exitCode: ExitCodes.usage)
            }
            let name = line[..<equals].trimmingCharacters(in: .whitespaces)
            let value = line[line.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            try set(name, to: value, from: "\(path), line \(index + 1)")
        }
    }

    /// Takes what the environment says: `TALLY_`, and the name in capitals with `_` for each dot.
    /// Variables that name no setting are others' business.
    mutating func read(environment: [String: String]) throws {
        for setting in Self.all {
            let name = setting.name.hasPrefix("tally.") ? setting.name : "tally." + setting.name
            let variable = name.uppercased().replacingOccurrences(of: ".", with: "_")
            guard let value = environment[variable] else { continue }
            try set(setting.name, to: value, from: variable)
        }
    }
}

extension HostAndPort {
    /// An address, with or without Kafka's name for what is spoken there.
    init?(listener text: String) {
        let scheme = "PLAINTEXT://"
        self.init(argument: text.hasPrefix(scheme) ? String(text.dropFirst(scheme.count)) : text)
    }
}
