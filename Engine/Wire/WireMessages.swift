/// All messages that the code knows, by API.
///
/// A server does not need the table to read what it has a case for: `RequestFrameStart` tells which
/// `RequestFrame` to read. It is for what goes through all of them: the ranges of versions that
/// ApiVersions answers with, tools, and tests.
package enum WireMessages {
    /// The types of requests, each of which knows its response, in the order of their numbers.
    package static let requests: [any WireRequest.Type] = [
        ProduceRequest.self,
        FetchRequest.self,
        ListOffsetsRequest.self,
        MetadataRequest.self,
        OffsetCommitRequest.self,
        OffsetFetchRequest.self,
        FindCoordinatorRequest.self,
        JoinGroupRequest.self,
        HeartbeatRequest.self,
        LeaveGroupRequest.self,
        SyncGroupRequest.self,
        DescribeGroupsRequest.self,
        ListGroupsRequest.self,
        ApiVersionsRequest.self,
        CreateTopicsRequest.self,
        DeleteTopicsRequest.self,
        DeleteRecordsRequest.self,
        InitProducerIDRequest.self,
        OffsetForLeaderEpochRequest.self,
        AddPartitionsToTransactionRequest.self,
        AddOffsetsToTransactionRequest.self,
        EndTransactionRequest.self,
        WriteTransactionMarkersRequest.self,
        TransactionOffsetCommitRequest.self,
        DescribeConfigsRequest.self,
        AlterConfigsRequest.self,
        DescribeLogDirsRequest.self,
        CreatePartitionsRequest.self,
        DeleteGroupsRequest.self,
        IncrementalAlterConfigsRequest.self,
        ListPartitionReassignmentsRequest.self,
        OffsetDeleteRequest.self,
        DescribeClusterRequest.self,
        DescribeProducersRequest.self,
        DescribeTransactionsRequest.self,
        ListTransactionsRequest.self,
        ConsumerGroupDescribeRequest.self,
        DescribeTopicPartitionsRequest.self,
    ]

    private static let byAPI = Dictionary(
        uniqueKeysWithValues: requests.map { ($0.api, $0) })

    /// The type of the requests of an API.
    package static func request(_ api: APIKey) -> (any WireRequest.Type)? { byAPI[api] }

    /// Whether a version of an API is known.
    package static func isSupported(_ api: APIKey, version: Int16) -> Bool {
        byAPI[api]?.versions.contains(version) ?? false
    }

    /// Reads a frame with a request, whichever it is. An API or version that is not known is the
    /// error `unsupportedVersion`.
    package static func decodeRequest(
        _ bytes: [UInt8]
    ) throws(WireError) -> (
        header: RequestHeader, body: any WireRequest, trailingBytes: [UInt8]
    ) {
        let start = try RequestFrameStart(decoding: bytes)
        guard let type = byAPI[start.api] else { throw start.unsupported }
        return try decode(type, bytes)
    }

    private static func decode<Request: WireRequest>(
        _ type: Request.Type, _ bytes: [UInt8]
    ) throws(WireError) -> (
        header: RequestHeader, body: any WireRequest, trailingBytes: [UInt8]
    ) {
        let frame = try RequestFrame<Request>(decoding: bytes)
        return (frame.header, frame.body, frame.trailingBytes)
    }

    /// Reads a frame with the response to a request of an API and version.
    package static func decodeResponse(
        _ bytes: [UInt8], api: APIKey, version: Int16
    ) throws(WireError) -> (header: ResponseHeader, body: any WireResponse) {
        guard let type = byAPI[api] else {
            throw WireError(
                .unsupportedVersion(api: api.rawValue, version: version), field: "apiVersion",
                position: 0)
        }
        return try decodeResponse(to: type, bytes, version)
    }

    private static func decodeResponse<Request: WireRequest>(
        to type: Request.Type, _ bytes: [UInt8], _ version: Int16
    ) throws(WireError) -> (header: ResponseHeader, body: any WireResponse) {
        let frame = try ResponseFrame<Request.Response>(decoding: bytes, version: version)
        return (frame.header, frame.body)
    }
}

extension WireRequest {
    /// The bytes of a frame: a header, with the version that it names, and this request.
    package func frame(
        _ header: RequestHeader, trailingBytes: [UInt8] = []
    ) throws(WireError) -> [UInt8] {
        try RequestFrame(header: header, body: self, trailingBytes: trailingBytes).encoded()
    }
}

extension WireResponse {
    /// The bytes of a frame: a header and this response.
    package func frame(
        _ header: ResponseHeader, version: Int16
    ) throws(WireError) -> [UInt8] {
        try ResponseFrame(header: header, body: self).encoded(version: version)
    }
}
