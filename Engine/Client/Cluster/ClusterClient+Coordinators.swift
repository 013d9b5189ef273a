import TallyWire

extension ClusterClient {
    /// Who is coordinated: a group, or the transactions of a transactional id.
    package enum Coordinated: Hashable, Sendable {
        /// A group, with its offsets.
        case group(String)
        /// A transactional id.
        case transactionalID(String)
    }

    /// Asks any broker who coordinates something; once.
    ///
    /// Throws ``ClientError``, with COORDINATOR_NOT_AVAILABLE where nobody does now.
    package func coordinator(of coordinated: Coordinated) async throws -> BrokerAddress {
        let connection = try await connectionToAny()
        var request = FindCoordinatorRequest()
        let (key, subject) =
            switch coordinated {
            case .group(let name): (name, "group \(name)")
            case .transactionalID(let name): (name, "transactional id \(name)")
            }
        // 1 is that of transactions (KIP-98).
        if case .transactionalID = coordinated { request.keyType = 1 }
        if try connection.versions.version(of: FindCoordinatorRequest.self) >= 4 {
            request.coordinatorKeys = [key]
        } else {
            request.key = key
        }
        let answer = try await connection.send(request)
        let found = answer.coordinators.first
        let code = found?.errorCode ?? answer.errorCode
        guard code == .none else {
            throw ClientError.refused(
                request: FindCoordinatorRequest.name, subject: subject, code: code,
                message: found?.errorMessage ?? answer.errorMessage)
        }
        return BrokerAddress(
            host: found?.host ?? answer.host, port: Int(found?.port ?? answer.port))
    }
}
