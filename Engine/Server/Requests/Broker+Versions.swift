import Tally
import TallyCluster
import TallyReplication
import TallyWire

extension Broker {
    /// Which requests are answered, in which versions.
    func apiVersions(_ request: ApiVersionsRequest, _ context: Context) async
        -> ApiVersionsResponse?
    {
        var response = ApiVersionsResponse()
        response.apiKeys = supported.map { api, versions in
            var key = ApiVersionsResponse.SupportedAPI()
            key.apiKey = api
            key.minVersion = versions.lowerBound
            key.maxVersion = versions.upperBound
            return key
        }
        return response
    }

    /// Who coordinates a group or a transactional id: the only broker there is.
    func findCoordinator(_ request: FindCoordinatorRequest, _ context: Context) async
        -> FindCoordinatorResponse?
    {
        var response = FindCoordinatorResponse()
        guard context.version >= 4 else {
            let found = await find(request.key, keyType: request.keyType)
            response.errorCode = found.errorCode
            response.errorMessage = context.version >= 1 ? found.errorMessage : ""
            response.nodeID = found.nodeID
            response.host = found.host
            response.port = found.port
            return response
        }
        response.errorMessage = ""
        for key in request.coordinatorKeys.unique() {
            response.coordinators.append(await find(key, keyType: request.keyType))
        }
        return response
    }

    /// Who answers for a group (0) or a transactional id (1).
    private func find(_ key: String, keyType: Int8) async -> FindCoordinatorResponse.Coordinator {
        var answer = FindCoordinatorResponse.Coordinator()
        answer.key = key
        answer.nodeID = nodeID
        answer.host = address.host
        answer.port = Int32(address.port)
        answer.errorMessage = nil
        guard (0...1).contains(keyType) else {
            answer.errorCode = .invalidRequest
            answer.errorMessage = "key type \(keyType) is not known"
            return answer
        }
        let partition =
            keyType == 0
            ? engine.offsetsPartition(ofGroup: key) : engine.transactionsPartition(of: key)
        guard let cluster, let partition else { return answer }
        (answer.nodeID, answer.host, answer.port) = (-1, "", -1)
        answer.errorCode = .coordinatorNotAvailable
        do {
            guard let member = try await cluster.coordinator(of: partition) else { return answer }
            (answer.nodeID, answer.host, answer.port) = (
                member.id.rawValue, member.host, member.port
            )
            answer.errorCode = .none
        } catch {
            answer.errorMessage = "\(error)"
        }
        return answer
    }

    /// The cluster.
    func describeCluster(_ request: DescribeClusterRequest, _ context: Context) async
        -> DescribeClusterResponse?
    {
        var response = DescribeClusterResponse()
        guard request.endpointType == 1 else {
            response.errorCode = .unsupportedEndpointType
            response.errorMessage = "there are no endpoints of controllers"
            response.endpointType = request.endpointType
            return response
        }
        response.clusterID = clusterID
        response.controllerID = controllerID
        response.brokers = brokers.map { member in
            var broker = DescribeClusterResponse.Broker()
            broker.brokerID = member.id.rawValue
            broker.host = member.host
            broker.port = member.port
            broker.rack = member.rack
            return broker
        }
        return response
    }

    /// Nothing is ever on its way from one broker to another.
    func listPartitionReassignments(
        _ request: ListPartitionReassignmentsRequest, _ context: Context
    ) async -> ListPartitionReassignmentsResponse? {
        var response = ListPartitionReassignmentsResponse()
        response.errorMessage = nil
        return response
    }
}
