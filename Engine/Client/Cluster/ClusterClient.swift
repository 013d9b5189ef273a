package import TallyRecords
package import TallyWire

/// A client of a cluster: knows its brokers, has one connection to each that it needs, and asks the
/// one that can answer, again where that helps.
///
/// Thread rule: any task.
package actor ClusterClient {
    /// Where the cluster was looked for first.
    package nonisolated let bootstrap: [BrokerAddress]
    /// How long it waits, and when it gives up.
    package nonisolated let configuration: ClientConfiguration
    private var view = ClusterView()
    /// When that was asked for; nil where it has to be asked for anew.
    private var viewedAt: ContinuousClock.Instant?
    /// The topics that somebody wanted to know of.
    private var wantedTopics: Set<String> = []
    private var connections: [BrokerAddress: Task<BrokerConnection, any Error>] = [:]
    private var isClosed = false

    /// A client; it connects when it is asked for something.
    ///
    /// - Parameter bootstrap: some brokers of the cluster, of which one is enough.
    package init(
        bootstrap: [BrokerAddress], configuration: ClientConfiguration = ClientConfiguration()
    ) {
        self.bootstrap = bootstrap
        self.configuration = configuration
    }

    /// Ends all connections. Whoever waits gets ``ClientError/closed(_:reason:)``.
    package func close() async {
        isClosed = true
        let ending = connections.values
        connections = [:]
        for connection in ending { await (try? connection.value)?.close() }
    }

    // MARK: Connections

    /// Whom a request is for.
    package enum Recipient: Hashable, Sendable {
        /// Any broker.
        case any
        /// The broker with a number.
        case broker(Int32)
        /// Who leads a partition.
        case leader(TopicPartition)
        /// Who creates topics.
        case controller
        /// Who keeps a group's offsets.
        case groupCoordinator(String)
    }

    /// The connection to a broker: the one that is open, or a new one.
    package func connection(
        to address: BrokerAddress
    ) async throws -> BrokerConnection {
        if isClosed { throw ClientError.closed(address, reason: "the client is closed") }
        if let known = connections[address] {
            // One that is being made is shared, and so is its failure.
            let connection = try await known.value
            if connection.isOpen { return connection }
            if connections[address] == known { connections[address] = nil }
            return try await self.connection(to: address)
        }
        let configuration = configuration
        let task = Task {
            try await BrokerConnection.connect(to: address, configuration: configuration)
        }
        connections[address] = task
        do {
            return try await task.value
        } catch {
            if connections[address] == task { connections[address] = nil }
            throw error
        }
    }

    private func connection(to recipient: Recipient) async throws -> BrokerConnection {
        switch recipient {
        case .any: return try await connectionToAny()
        case .broker(let id):
            if view.brokers[id] == nil { try await look() }
            guard let address = view.brokers[id] else {
                return try await connectionToAny()
            }
            return try await connection(to: address)
        case .leader(let partition):
            try await look(at: [partition.topic])
            guard let leader = view.leader(of: partition), let address = view.brokers[leader.id]
            else {
                viewedAt = nil
                throw ClientError.noLeader(partition)
            }
            return try await connection(to: address)
        case .controller:
            try await look()
            guard let address = view.controllerID.flatMap({ view.brokers[$0] }) else {
                return try await connectionToAny()
            }
            return try await connection(to: address)
        case .groupCoordinator(let group):
            return try await connection(to: try await coordinator(of: .group(group)))
        }
    }

    /// A connection to some broker: one that is open, else the first that accepts one.
    func connectionToAny() async throws -> BrokerConnection {
        let known = view.brokers.sorted { $0.key < $1.key }.map(\.value)
        var failure: (any Error)?
        for address in known.filter({ connections[$0] != nil }) + bootstrap + known {
            do {
                return try await connection(to: address)
            } catch let error as ClientError {
                failure = failure ?? error
            }
        }
        throw failure
            ?? ClientError.cannotConnect(
                BrokerAddress(host: "", port: 0), reason: "no broker was named")
    }

    // MARK: The view of the cluster

    /// What is known of the cluster and of these topics, asked for where it is not known or old.
    /// Topics that do not exist are missing.
    ///
    /// Throws ``ClientError``. It is not tried again.
    package func look(at topics: Set<String> = []) async throws {
        let isNew = !topics.isSubset(of: wantedTopics)
        let age = viewedAt.map { (ContinuousClock.now - $0) / .milliseconds(1) }
        let isFresh = (age ?? .infinity) < Double(configuration.metadataMillisecondsMax)
        guard isNew || !isFresh else { return }
        wantedTopics.formUnion(topics)
        _ = try await ask(about: Array(wantedTopics))
    }

    /// - Parameter topics: nil for all.
    private func ask(about topics: [String]?) async throws -> MetadataResponse {
        let connection = try await connectionToAny()
        var request = MetadataRequest()
        request.allowAutoTopicCreation = false
        request.topics = topics?.sorted().map { name in
            var topic = MetadataRequest.Topic()
            topic.name = name
            return topic
        }
        // Before version 4 nothing could be said against creating a topic by asking for it.
        let version = try connection.versions.version(of: MetadataRequest.self)
        if version < 4 { request.allowAutoTopicCreation = true }
        if version == 0, topics?.isEmpty == true { request.topics = nil }
        let answer = try await connection.send(request)
        for topic in topics.map(Set.init) ?? wantedTopics { view.topics[topic] = nil }
        view.take(answer)
        viewedAt = .now
        return answer
    }

    /// What was known is doubted: the next request asks anew.
    package func doubt() { viewedAt = nil }

    /// The cluster as it is known now.
    package var currentView: ClusterView { view }

    /// Topics as they are now, asked for until the brokers answer and each has all of its leaders.
    ///
    /// - Parameter names: nil for all topics.
    /// Throws ``ClientError``, with the code UNKNOWN_TOPIC_OR_PARTITION for one that is not there.
    package func describeTopics(
        _ names: [String]?
    ) async throws -> [String: ClusterView.Topic] {
        try await retrying {
            let answer = try await self.ask(about: names)
            var found = ClusterView()
            found.take(answer)
            for topic in answer.topics where topic.errorCode != .none {
                throw ClientError.refused(
                    request: MetadataRequest.name, subject: "topic \(topic.name ?? "")",
                    code: topic.errorCode, message: nil)
            }
            if names == nil { self.wantedTopics.formUnion(found.topics.keys) }
            return found.topics
        } orThrowAt: {
            $0 == .unknownTopicOrPartition || $0 == .invalidTopicException
        }
    }

    // MARK: Asking

    /// Asks whoever can answer, until there is an answer that is no error, or no use in asking.
    ///
    /// - Parameters:
    ///   - limit: the newest version to use.
    ///   - waitMilliseconds: how long the request lets the broker wait.
    ///   - subject: what it is about, for errors.
    ///   - problem: the error in an answer; `none` where it is good.
    ///
    /// Throws ``ClientError``, and `CancellationError` where the task is cancelled.
    package func ask<Request: WireRequest>(
        _ recipient: Recipient, _ request: Request, atMost limit: Int16 = .max,
        waitMilliseconds: Int64 = 0, about subject: String,
        problem: @Sendable (Request.Response) -> (code: ErrorCode, message: String?)
    ) async throws -> Request.Response {
        try await retrying {
            let connection = try await self.connection(to: recipient)
            let answer = try await connection.send(
                request, atMost: limit, waitMilliseconds: waitMilliseconds)
            let (code, message) = problem(answer)
            guard code == .none else {
                throw ClientError.refused(
                    request: Request.name, subject: subject, code: code, message: message)
            }
            return answer
        } orThrowAt: { _ in
            false
        }
    }

    /// The connection to whoever a request is for; it is not tried again. For requests that the
    /// caller makes up by what the broker knows.
    ///
    /// Throws ``ClientError``.
    package func connect(_ recipient: Recipient) async throws -> BrokerConnection {
        try await connection(to: recipient)
    }

    /// Tries something until it succeeds, fails for good, or has been tried for long enough.
    ///
    /// Throws ``ClientError``, and `CancellationError` where the task is cancelled.
    package func retrying<Success: Sendable>(
        _ attempt: () async throws -> Success,
        orThrowAt isFinal: (ErrorCode) -> Bool = { _ in false }
    ) async throws -> Success {
        var backoff = Backoff(configuration)
        while true {
            do {
                return try await attempt()
            } catch let error as ClientError {
                let isFinal = error.code.map(isFinal) ?? false
                guard error.isRetriable, !isFinal, !isClosed else { throw error }
                viewedAt = nil
                try await backoff.pause(after: error)
            }
        }
    }
}
