package import TallyWire

/// One connection to one broker: requests go out as they come, without waiting for the answers to
/// those before them, and answers are given to whoever asked.
///
/// Thread rule: any thread and task. A task that is cancelled stops waiting; its answer is read
/// and dropped, and the connection stays as it is. After an error that says so the connection has
/// ended, and ``isOpen`` is false; whoever wants to go on connects anew.
package final class BrokerConnection: Sendable {
    /// Whom it was made to.
    package let address: BrokerAddress
    /// What that broker knows.
    package let versions: BrokerVersions
    private let link: BrokerLink

    private init(_ link: BrokerLink, _ versions: BrokerVersions) {
        self.link = link
        self.versions = versions
        address = link.address
    }

    /// Connects, and asks the broker what it knows. A cancelled task waits for the end of the
    /// attempt, ``ClientConfiguration/connectMilliseconds`` at most.
    ///
    /// - Parameter thread: what serves the connection; nil for threads that all share.
    ///
    /// Throws ``ClientError``.
    package static func connect(
        to address: BrokerAddress, configuration: ClientConfiguration = ClientConfiguration(),
        on thread: ConnectionThread? = nil
    ) async throws -> BrokerConnection {
        let link = try await BrokerLink.connect(to: address, configuration, on: thread)
        return BrokerConnection(link, try await link.negotiate())
    }

    /// Whether requests can be sent; false for good once the connection has ended.
    package var isOpen: Bool { !link.hasEnded.isSet }

    /// Sends a request and waits for its answer.
    ///
    /// - Parameters:
    ///   - limit: the newest version to use; the newest that both sides know where that is older.
    ///   - waitMilliseconds: how long the request lets the broker wait; that comes on top of
    ///     ``ClientConfiguration/requestMilliseconds``.
    /// - Returns: the answer. What it says of errors is for the caller to look at.
    ///
    /// Throws ``ClientError``, and `CancellationError` where the task is cancelled.
    package func send<Request: WireRequest>(
        _ request: Request, atMost limit: Int16 = .max, waitMilliseconds: Int64 = 0
    ) async throws -> Request.Response {
        let version = try versions.version(of: Request.self, atMost: limit)
        let frame = try await link.exchange(request, version, waitMilliseconds: waitMilliseconds)
        do {
            return try link.decode(frame, of: Request.self, version)
        } catch {
            // Nobody knows what else is wrong with what comes.
            link.end(because: error)
            throw error
        }
    }

    /// Sends a request that is not answered: one to produce with `acks=0`.
    ///
    /// Throws ``ClientError``.
    package func post<Request: WireRequest>(_ request: Request) throws(ClientError) {
        try link.post(request, try versions.version(of: Request.self))
    }

    /// Ends the connection; whoever waits for an answer gets ``ClientError/closed(_:reason:)``.
    /// Doing it twice is doing it once.
    package func close() async {
        await link.close()
    }
}
