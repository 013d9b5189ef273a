import TallyWire

extension Broker {
    /// What answers which request. What is not here is not told of by ApiVersions, and ends the
    /// connection that sends it.
    static let allHandlers: [APIKey: Handler] = [
        .produce: Handler("Produce", inPlace: { try await $0.produce(&$1, in: &$2, $3) }),
        .fetch: Handler("Fetch", answering: { try await $0.fetch($1, $2, $3) }),
        .listOffsets: Handler("ListOffsets") { await $0.listOffsets($1, $2) },
        .metadata: Handler("Metadata") { await $0.metadata($1, $2) },
        .offsetCommit: Handler("OffsetCommit") { await $0.offsetCommit($1, $2) },
        .offsetFetch: Handler("OffsetFetch") { await $0.offsetFetch($1, $2) },
        .findCoordinator: Handler("FindCoordinator") { await $0.findCoordinator($1, $2) },
        .joinGroup: Handler("JoinGroup") { await $0.joinGroup($1, $2) },
        .heartbeat: Handler("Heartbeat") { await $0.heartbeat($1, $2) },
        .leaveGroup: Handler("LeaveGroup") { await $0.leaveGroup($1, $2) },
        .syncGroup: Handler("SyncGroup") { await $0.syncGroup($1, $2) },
        .describeGroups: Handler("DescribeGroups") { await $0.describeGroups($1, $2) },
        .listGroups: Handler("ListGroups") { await $0.listGroups($1, $2) },
        .apiVersions: Handler("ApiVersions") { await $0.apiVersions($1, $2) },
        .createTopics: Handler("CreateTopics") { await $0.createTopics($1, $2) },
        .deleteTopics: Handler("DeleteTopics") { await $0.deleteTopics($1, $2) },
        .deleteRecords: Handler("DeleteRecords") { await $0.deleteRecords($1, $2) },
        .initProducerID: Handler("InitProducerId") { await $0.initProducerID($1, $2) },
        .offsetForLeaderEpoch: Handler("OffsetForLeaderEpoch") {
            await $0.offsetForLeaderEpoch($1, $2)
        },
        .addPartitionsToTransaction: Handler("AddPartitionsToTxn") {
            await $0.addPartitions($1, $2)
        },
        .addOffsetsToTransaction: Handler("AddOffsetsToTxn") { await $0.addOffsets($1, $2) },
        .endTransaction: Handler("EndTxn") { await $0.endTransaction($1, $2) },
        .transactionOffsetCommit: Handler("TxnOffsetCommit") {
            await $0.transactionOffsetCommit($1, $2)
        },
        .describeConfigs: Handler("DescribeConfigs") { await $0.describeConfigs($1, $2) },
        .alterConfigs: Handler("AlterConfigs") { await $0.alterConfigs($1, $2) },
        .describeLogDirs: Handler("DescribeLogDirs") { await $0.describeLogDirs($1, $2) },
        .createPartitions: Handler("CreatePartitions") { await $0.createPartitions($1, $2) },
        .deleteGroups: Handler("DeleteGroups") { await $0.deleteGroups($1, $2) },
        .incrementalAlterConfigs: Handler("IncrementalAlterConfigs") {
            await $0.incrementalAlterConfigs($1, $2)
        },
        .listPartitionReassignments: Handler("ListPartitionReassignments") {
            await $0.listPartitionReassignments($1, $2)
        },
        .offsetDelete: Handler("OffsetDelete") { await $0.offsetDelete($1, $2) },
        .describeCluster: Handler("DescribeCluster") { await $0.describeCluster($1, $2) },
        .describeProducers: Handler("DescribeProducers") { await $0.describeProducers($1, $2) },
        .describeTransactions: Handler("DescribeTransactions") {
            await $0.describeTransactions($1, $2)
        },
        .listTransactions: Handler("ListTransactions") { await $0.listTransactions($1, $2) },
        .describeTopicPartitions: Handler("DescribeTopicPartitions") {
            await $0.describeTopicPartitions($1, $2)
        },
    ]

    /// What members of a cluster ask of each other.
    static let memberHandlers: [APIKey: Handler] = [
        .writeTransactionMarkers: Handler("WriteTxnMarkers") {
            await $0.writeTransactionMarkers($1, $2)
        }
    ]
}
