import Tally
import TallyWire
import Testing

@Suite("Every request in every version", .timeLimit(.minutes(10)))
struct EveryVersionTests {
    /// A request that makes sense where it can, for a topic `t` and a group `g` that are there.
    private func requests(
        _ version: Int16, topicID: WireUUID, records: [UInt8]
    ) -> [any WireRequest] {
        var join = JoinGroupRequest()
        (join.groupID, join.protocolType, join.sessionTimeoutMilliseconds) = ("h", "consumer", 9000)
        var commit = TallyWire.OffsetCommitRequest()
        commit.groupID = "g"
        commit.topics = [topic { $0.committedOffset = 1 }]
        var fetchOffsets = OffsetFetchRequest()
        var offsetGroup = OffsetFetchRequest.Group()
        (fetchOffsets.groupID, offsetGroup.groupID) = ("g", "g")
        if version >= 2 { (fetchOffsets.topics, offsetGroup.topics) = (nil, nil) }
        fetchOffsets.groups = version >= 8 ? [offsetGroup] : []
        if version >= 8 { (fetchOffsets.groupID, fetchOffsets.topics) = ("", []) }
        var coordinator = FindCoordinatorRequest()
        coordinator.key = version < 4 ? "g" : ""
        coordinator.coordinatorKeys = version >= 4 ? ["g", "h"] : []
        var leave = LeaveGroupRequest()
        leave.groupID = "h"
        leave.memberID = version < 3 ? "m" : ""
        if version >= 3 { leave.members = [LeaveGroupRequest.Member()] }
        var fetch = FetchRequest("t")
        if version >= 13 { fetch.topics[0].topicID = topicID }
        var list = ListOffsetsRequest()
        list.replicaID = -1
        list.topics = [topic { $0.timestamp = -1 }]
        var epochs = OffsetForLeaderEpochRequest()
        epochs.topics = [topic { $0.leaderEpoch = 0 }]
        var describe = DescribeGroupsRequest()
        describe.groups = ["g", "none"]
        var configs = DescribeConfigsRequest()
        var resource = DescribeConfigsRequest.Resource()
        (resource.resourceType, resource.resourceName, resource.configurationKeys) = (2, "t", nil)
        configs.resources = [resource]
        var create = CreateTopicsRequest()
        var made = CreateTopicsRequest.Topic()
        (made.name, made.partitionCount, made.replicationFactor) = ("made\(version)", 2, 1)
        create.topics = [made]
        var delete = DeleteTopicsRequest()
        var gone = DeleteTopicsRequest.Topic()
        gone.name = "none"
        if version >= 6 { delete.topics = [gone] } else { delete.topicNames = ["none"] }
        var add = AddPartitionsToTransactionRequest()
        if version >= 4 {
            add.transactions = [AddPartitionsToTransactionRequest.Transaction()]
        } else {
            add.transactionalID = "x"
        }
        var metadata = MetadataRequest()
        var known = MetadataRequest.Topic()
        known.name = "t"
        metadata.topics = [known]
        var partitions = DescribeTopicPartitionsRequest()
        partitions.topics = [DescribeTopicPartitionsRequest.Topic()]
        return [
            ProduceRequest(records, to: "t"), fetch, list, metadata, commit, fetchOffsets,
            coordinator, join, HeartbeatRequest(), leave, SyncGroupRequest(), describe,
            ListGroupsRequest(), ApiVersionsRequest(), create, delete, DeleteRecordsRequest(),
            InitProducerIDRequest.new(), epochs, add, AddOffsetsToTransactionRequest(),
            EndTransactionRequest(), TransactionOffsetCommitRequest(), configs,
            AlterConfigsRequest(), DescribeLogDirsRequest(), CreatePartitionsRequest(),
            DeleteGroupsRequest(), IncrementalAlterConfigsRequest(),
            ListPartitionReassignmentsRequest(), OffsetDeleteRequest(), DescribeClusterRequest(),
            DescribeProducersRequest(), DescribeTransactionsRequest(), ListTransactionsRequest(),
            partitions,
        ]
    }

    private func topic<Partition: WireStruct>(
        _ change: (inout Partition) -> Void
    ) -> TopicOf<Partition> {
        var topic = TopicOf<Partition>()
        topic.name = "t"
        var partition = Partition()
        change(&partition)
        topic.partitions = [partition]
        return topic
    }

    @Test("is answered in the same version, and nothing that is not promised is missing")
    func all() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let topicID = WireUUID(try served.engine.describeTopic("t").id)
            let records = try batch(["a"])
            let client = try await served.connect()
            let promised = try await client.ask(ApiVersionsRequest(), version: 4).apiKeys
            var answered = 0
            for key in promised {
                for version in key.minVersion...key.maxVersion {
                    let all = requests(version, topicID: topicID, records: records)
                    let request = all.first { type(of: $0).api == key.apiKey }
                    let sent = try #require(request, "API \(key.apiKey.rawValue) has no request")
                    let comment: Comment = "API \(key.apiKey.rawValue), version \(version)"
                    try await client.post(sent, version: version)
                    let frame = try #require(await client.frame(), comment)
                    _ = try WireMessages.decodeResponse(
                        frame, api: key.apiKey, version: version)
                    answered += 1
                }
            }
            #expect(answered > 150)
            // All but what only brokers say to each other, and the second group protocol.
            let known = Set(WireMessages.requests.map { $0.api })
            #expect(
                known.subtracting(promised.map(\.apiKey)) == [
                    .writeTransactionMarkers, .consumerGroupDescribe,
                ])
        }
    }
}
