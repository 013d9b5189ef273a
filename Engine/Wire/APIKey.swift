/// Which kind of request it is, in Kafka's numbers. A number without a name here is kept.
///
/// Source: the API keys of the Kafka protocol, as of version 4.0. Those are named that clients may
/// send to a broker; what brokers and controllers say to each other is not.
package struct APIKey: RawRepresentable, Hashable, Sendable {
    /// The number in the bytes.
    package var rawValue: Int16

    /// The API with a number.
    package init(rawValue: Int16) { self.rawValue = rawValue }

    /// Produce.
    package static let produce = APIKey(rawValue: 0)
    /// Fetch.
    package static let fetch = APIKey(rawValue: 1)
    /// ListOffsets.
    package static let listOffsets = APIKey(rawValue: 2)
    /// Metadata.
    package static let metadata = APIKey(rawValue: 3)
    /// OffsetCommit.
    package static let offsetCommit = APIKey(rawValue: 8)
    /// OffsetFetch.
    package static let offsetFetch = APIKey(rawValue: 9)
    /// FindCoordinator.
    package static let findCoordinator = APIKey(rawValue: 10)
    /// JoinGroup.
    package static let joinGroup = APIKey(rawValue: 11)
    /// Heartbeat.
    package static let heartbeat = APIKey(rawValue: 12)
    /// LeaveGroup.
    package static let leaveGroup = APIKey(rawValue: 13)
    /// SyncGroup.
    package static let syncGroup = APIKey(rawValue: 14)
    /// DescribeGroups.
    package static let describeGroups = APIKey(rawValue: 15)
    /// ListGroups.
    package static let listGroups = APIKey(rawValue: 16)
    /// SaslHandshake.
    package static let saslHandshake = APIKey(rawValue: 17)
    /// ApiVersions.
    package static let apiVersions = APIKey(rawValue: 18)
    /// CreateTopics.
    package static let createTopics = APIKey(rawValue: 19)
    /// DeleteTopics.
    package static let deleteTopics = APIKey(rawValue: 20)
    /// DeleteRecords.
    package static let deleteRecords = APIKey(rawValue: 21)
    /// InitProducerId.
    package static let initProducerID = APIKey(rawValue: 22)
    /// OffsetForLeaderEpoch.
    package static let offsetForLeaderEpoch = APIKey(rawValue: 23)
    /// AddPartitionsToTxn.
    package static let addPartitionsToTransaction = APIKey(rawValue: 24)
    /// AddOffsetsToTxn.
    package static let addOffsetsToTransaction = APIKey(rawValue: 25)
    /// EndTxn.
    package static let endTransaction = APIKey(rawValue: 26)
    /// WriteTxnMarkers.
    package static let writeTransactionMarkers = APIKey(rawValue: 27)
    /// TxnOffsetCommit.
    package static let transactionOffsetCommit = APIKey(rawValue: 28)
    /// DescribeAcls.
    package static let describeAcls = APIKey(rawValue: 29)
    /// CreateAcls.
    package static let createAcls = APIKey(rawValue: 30)
    /// DeleteAcls.
    package static let deleteAcls = APIKey(rawValue: 31)
    /// DescribeConfigs.
    package static let describeConfigs = APIKey(rawValue: 32)
    /// AlterConfigs.
    package static let alterConfigs = APIKey(rawValue: 33)
    /// AlterReplicaLogDirs.
    package static let alterReplicaLogDirs = APIKey(rawValue: 34)
    /// DescribeLogDirs.
    package static let describeLogDirs = APIKey(rawValue: 35)
    /// SaslAuthenticate.
    package static let saslAuthenticate = APIKey(rawValue: 36)
    /// CreatePartitions.
    package static let createPartitions = APIKey(rawValue: 37)
    /// CreateDelegationToken.
    package static let createDelegationToken = APIKey(rawValue: 38)
    /// RenewDelegationToken.
    package static let renewDelegationToken = APIKey(rawValue: 39)
    /// ExpireDelegationToken.
    package static let expireDelegationToken = APIKey(rawValue: 40)
    /// DescribeDelegationToken.
    package static let describeDelegationToken = APIKey(rawValue: 41)
    /// DeleteGroups.
    package static let deleteGroups = APIKey(rawValue: 42)
    /// ElectLeaders.
    package static let electLeaders = APIKey(rawValue: 43)
    /// IncrementalAlterConfigs.
    package static let incrementalAlterConfigs = APIKey(rawValue: 44)
    /// AlterPartitionReassignments.
    package static let alterPartitionReassignments = APIKey(rawValue: 45)
    /// ListPartitionReassignments.
    package static let listPartitionReassignments = APIKey(rawValue: 46)
    /// OffsetDelete.
    package static let offsetDelete = APIKey(rawValue: 47)
    /// DescribeClientQuotas.
    package static let describeClientQuotas = APIKey(rawValue: 48)
    /// AlterClientQuotas.
    package static let alterClientQuotas = APIKey(rawValue: 49)
    /// DescribeUserScramCredentials.
    package static let describeUserScramCredentials = APIKey(rawValue: 50)
    /// AlterUserScramCredentials.
    package static let alterUserScramCredentials = APIKey(rawValue: 51)
    /// DescribeQuorum.
    package static let describeQuorum = APIKey(rawValue: 55)
    /// UpdateFeatures.
    package static let updateFeatures = APIKey(rawValue: 57)
    /// DescribeCluster.
    package static let describeCluster = APIKey(rawValue: 60)
    /// DescribeProducers.
    package static let describeProducers = APIKey(rawValue: 61)
    /// UnregisterBroker.
    package static let unregisterBroker = APIKey(rawValue: 64)
    /// DescribeTransactions.
    package static let describeTransactions = APIKey(rawValue: 65)
    /// ListTransactions.
    package static let listTransactions = APIKey(rawValue: 66)
    /// ConsumerGroupHeartbeat.
    package static let consumerGroupHeartbeat = APIKey(rawValue: 68)
    /// ConsumerGroupDescribe.
    package static let consumerGroupDescribe = APIKey(rawValue: 69)
    /// ListClientMetricsResources.
    package static let listClientMetricsResources = APIKey(rawValue: 74)
    /// DescribeTopicPartitions.
    package static let describeTopicPartitions = APIKey(rawValue: 75)
    /// AddRaftVoter.
    package static let addRaftVoter = APIKey(rawValue: 80)
    /// RemoveRaftVoter.
    package static let removeRaftVoter = APIKey(rawValue: 81)
}
