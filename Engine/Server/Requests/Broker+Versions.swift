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
        let isKnown = (0...1).contains(request.keyType)
        let code = isKnown ? ErrorCode.none : .invalidRequest
        let message = isKnown ? nil : "key type \(request.keyType) is not known"
        guard context.version >= 4 else {
            response.errorCode = code
            response.errorMessage = context.version >= 1 ? message : ""
            response.nodeID = nodeID
            response.host = address.host
            response.port = Int32(address.port)
            return response
        }
        response.errorMessage = ""
        response.coordinators = request.coordinatorKeys.unique().map { key in
            var coordinator = FindCoordinatorResponse.Coordinator()
            coordinator.key = key
            coordinator.nodeID = nodeID
            coordinator.host = address.host
            coordinator.port = Int32(address.port)
            coordinator.errorCode = code
            coordinator.errorMessage = message
            return coordinator
        }
        return response
    }

    /// The cluster: one broker.
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
