import TallyClient
import TallyReplication

extension ClusterNews {
    /// Connects to a member, where it said that it can be reached.
    ///
    /// - Parameters:
    ///   - clientID: what its logs shall call this one.
    ///   - thread: what serves the connection; nil for threads that all share.
    ///
    /// Throws ``ClientError``, also where it is not registered now.
    func connect(
        to id: ReplicaID, as clientID: String, on thread: ConnectionThread? = nil
    ) async throws -> BrokerConnection {
        guard let member = look({ $0.members[id] }) else {
            throw ClientError.cannotConnect(
                BrokerAddress(host: "", port: 0), reason: "member \(id) is not registered")
        }
        var configuration = ClientConfiguration()
        configuration.clientID = clientID
        // Another is led by soon where this one does not answer.
        configuration.connectMilliseconds = 2000
        configuration.requestMilliseconds = 10_000
        return try await BrokerConnection.connect(
            to: BrokerAddress(host: member.host, port: Int(member.port)),
            configuration: configuration, on: thread)
    }
}
