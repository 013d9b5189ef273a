/// Asks for the brokers of the cluster.
package struct DescribeClusterRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeClusterResponse
    /// Its API.
    package static let api = APIKey.describeCluster
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...1
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// Whether to tell what the client may do with the cluster.
    package var includeClusterAuthorizedOperations = false
    /// Of which kind the endpoints are: 1 brokers, 2 controllers (version 1 and up).
    package var endpointType: Int8 = 1
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.bool("includeClusterAuthorizedOperations", &includeClusterAuthorizedOperations)
        try coder.int8("endpointType", &endpointType, from: 1, otherwise: 1)
        try coder.tags(&unknownTags)
    }
}

/// The cluster and its brokers.
package struct DescribeClusterResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeClusterRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// What went wrong, for people.
    package var errorMessage: String?
    /// Of which kind the endpoints are: 1 brokers, 2 controllers (version 1 and up).
    package var endpointType: Int8 = 1
    /// The id of the cluster.
    package var clusterID = ""
    /// The broker that is the controller, or -1.
    package var controllerID: Int32 = -1
    /// The brokers that are alive.
    package var brokers: [Broker] = []
    /// What the client may do with the cluster, as bits; `Int32.min` where that was not asked
    /// for.
    package var clusterAuthorizedOperations: Int32 = .min
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.nullableString("errorMessage", &errorMessage)
        try coder.int8("endpointType", &endpointType, from: 1, otherwise: 1)
        try coder.string("clusterID", &clusterID)
        try coder.int32("controllerID", &controllerID)
        try coder.array("brokers", &brokers)
        try coder.int32("clusterAuthorizedOperations", &clusterAuthorizedOperations)
        try coder.tags(&unknownTags)
    }

    /// A broker.
    package struct Broker: WireStruct {
        /// The broker.
        package var brokerID: Int32 = 0
        /// The host name.
        package var host = ""
        /// The port.
        package var port: Int32 = 0
        /// The rack of the broker.
        package var rack: String?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("brokerID", &brokerID)
            try coder.string("host", &host)
            try coder.int32("port", &port)
            try coder.nullableString("rack", &rack)
            try coder.tags(&unknownTags)
        }
    }
}
