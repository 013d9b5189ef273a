// The errors by name; each is what Kafka calls the same in capitals.

extension ErrorCode {
    /// UNKNOWN_SERVER_ERROR.
    package static let unknownServerError = ErrorCode(rawValue: -1)
    /// NONE.
    package static let none = ErrorCode(rawValue: 0)
    /// OFFSET_OUT_OF_RANGE.
    package static let offsetOutOfRange = ErrorCode(rawValue: 1)
    /// CORRUPT_MESSAGE.
    package static let corruptMessage = ErrorCode(rawValue: 2)
    /// UNKNOWN_TOPIC_OR_PARTITION.
    package static let unknownTopicOrPartition = ErrorCode(rawValue: 3)
    /// INVALID_FETCH_SIZE.
    package static let invalidFetchSize = ErrorCode(rawValue: 4)
    /// LEADER_NOT_AVAILABLE.
    package static let leaderNotAvailable = ErrorCode(rawValue: 5)
    /// NOT_LEADER_OR_FOLLOWER.
    package static let notLeaderOrFollower = ErrorCode(rawValue: 6)
    /// REQUEST_TIMED_OUT.
    package static let requestTimedOut = ErrorCode(rawValue: 7)
    /// BROKER_NOT_AVAILABLE.
    package static let brokerNotAvailable = ErrorCode(rawValue: 8)
    /// REPLICA_NOT_AVAILABLE.
    package static let replicaNotAvailable = ErrorCode(rawValue: 9)
    /// MESSAGE_TOO_LARGE.
    package static let messageTooLarge = ErrorCode(rawValue: 10)
    /// STALE_CONTROLLER_EPOCH.
    package static let staleControllerEpoch = ErrorCode(rawValue: 11)
    /// OFFSET_METADATA_TOO_LARGE.
    package static let offsetMetadataTooLarge = ErrorCode(rawValue: 12)
    /// NETWORK_EXCEPTION.
    package static let networkException = ErrorCode(rawValue: 13)
    /// COORDINATOR_LOAD_IN_PROGRESS.
    package static let coordinatorLoadInProgress = ErrorCode(rawValue: 14)
    /// COORDINATOR_NOT_AVAILABLE.
    package static let coordinatorNotAvailable = ErrorCode(rawValue: 15)
    /// NOT_COORDINATOR.
    package static let notCoordinator = ErrorCode(rawValue: 16)
    /// INVALID_TOPIC_EXCEPTION.
    package static let invalidTopicException = ErrorCode(rawValue: 17)
    /// RECORD_LIST_TOO_LARGE.
    package static let recordListTooLarge = ErrorCode(rawValue: 18)
    /// NOT_ENOUGH_REPLICAS.
    package static let notEnoughReplicas = ErrorCode(rawValue: 19)
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND.
    package static let notEnoughReplicasAfterAppend = ErrorCode(rawValue: 20)
    /// INVALID_REQUIRED_ACKS.
    package static let invalidRequiredAcks = ErrorCode(rawValue: 21)
    /// ILLEGAL_GENERATION.
    package static let illegalGeneration = ErrorCode(rawValue: 22)
    /// INCONSISTENT_GROUP_PROTOCOL.
    package static let inconsistentGroupProtocol = ErrorCode(rawValue: 23)
    /// INVALID_GROUP_ID.
    package static let invalidGroupID = ErrorCode(rawValue: 24)
    /// UNKNOWN_MEMBER_ID.
    package static let unknownMemberID = ErrorCode(rawValue: 25)
    /// INVALID_SESSION_TIMEOUT.
    package static let invalidSessionTimeout = ErrorCode(rawValue: 26)
    /// REBALANCE_IN_PROGRESS.
    package static let rebalanceInProgress = ErrorCode(rawValue: 27)
    /// INVALID_COMMIT_OFFSET_SIZE.
    package static let invalidCommitOffsetSize = ErrorCode(rawValue: 28)
    /// TOPIC_AUTHORIZATION_FAILED.
    package static let topicAuthorizationFailed = ErrorCode(rawValue: 29)
    /// GROUP_AUTHORIZATION_FAILED.
    package static let groupAuthorizationFailed = ErrorCode(rawValue: 30)
    /// CLUSTER_AUTHORIZATION_FAILED.
    package static let clusterAuthorizationFailed = ErrorCode(rawValue: 31)
    /// INVALID_TIMESTAMP.
    package static let invalidTimestamp = ErrorCode(rawValue: 32)
    /// UNSUPPORTED_SASL_MECHANISM.
    package static let unsupportedSaslMechanism = ErrorCode(rawValue: 33)
    /// ILLEGAL_SASL_STATE.
    package static let illegalSaslState = ErrorCode(rawValue: 34)
    /// UNSUPPORTED_VERSION.
    package static let unsupportedVersion = ErrorCode(rawValue: 35)
    /// TOPIC_ALREADY_EXISTS.
    package static let topicAlreadyExists = ErrorCode(rawValue: 36)
    /// INVALID_PARTITIONS.
    package static let invalidPartitions = ErrorCode(rawValue: 37)
    /// INVALID_REPLICATION_FACTOR.
    package static let invalidReplicationFactor = ErrorCode(rawValue: 38)
    /// INVALID_REPLICA_ASSIGNMENT.
    package static let invalidReplicaAssignment = ErrorCode(rawValue: 39)
    /// INVALID_CONFIG.
    package static let invalidConfig = ErrorCode(rawValue: 40)
    /// NOT_CONTROLLER.
    package static let notController = ErrorCode(rawValue: 41)
    /// INVALID_REQUEST.
    package static let invalidRequest = ErrorCode(rawValue: 42)
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT.
    package static let unsupportedForMessageFormat = ErrorCode(rawValue: 43)
    /// POLICY_VIOLATION.
    package static let policyViolation = ErrorCode(rawValue: 44)
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    package static let outOfOrderSequenceNumber = ErrorCode(rawValue: 45)
    /// DUPLICATE_SEQUENCE_NUMBER.
    package static let duplicateSequenceNumber = ErrorCode(rawValue: 46)
    /// INVALID_PRODUCER_EPOCH.
    package static let invalidProducerEpoch = ErrorCode(rawValue: 47)
    /// INVALID_TXN_STATE.
    package static let invalidTransactionState = ErrorCode(rawValue: 48)
    /// INVALID_PRODUCER_ID_MAPPING.
    package static let invalidProducerIDMapping = ErrorCode(rawValue: 49)
    /// INVALID_TRANSACTION_TIMEOUT.
    package static let invalidTransactionTimeout = ErrorCode(rawValue: 50)
    /// CONCURRENT_TRANSACTIONS.
    package static let concurrentTransactions = ErrorCode(rawValue: 51)
    /// TRANSACTION_COORDINATOR_FENCED.
    package static let transactionCoordinatorFenced = ErrorCode(rawValue: 52)
    /// TRANSACTIONAL_ID_AUTHORIZATION_FAILED.
    package static let transactionalIDAuthorizationFailed = ErrorCode(rawValue: 53)
    /// SECURITY_DISABLED.
    package static let securityDisabled = ErrorCode(rawValue: 54)
    /// OPERATION_NOT_ATTEMPTED.
    package static let operationNotAttempted = ErrorCode(rawValue: 55)
    /// KAFKA_STORAGE_ERROR.
    package static let kafkaStorageError = ErrorCode(rawValue: 56)
    /// LOG_DIR_NOT_FOUND.
    package static let logDirNotFound = ErrorCode(rawValue: 57)
    /// SASL_AUTHENTICATION_FAILED.
    package static let saslAuthenticationFailed = ErrorCode(rawValue: 58)
    /// UNKNOWN_PRODUCER_ID.
    package static let unknownProducerID = ErrorCode(rawValue: 59)
    /// REASSIGNMENT_IN_PROGRESS.
    package static let reassignmentInProgress = ErrorCode(rawValue: 60)
    /// DELEGATION_TOKEN_AUTH_DISABLED.
    package static let delegationTokenAuthDisabled = ErrorCode(rawValue: 61)
    /// DELEGATION_TOKEN_NOT_FOUND.
    package static let delegationTokenNotFound = ErrorCode(rawValue: 62)
    /// DELEGATION_TOKEN_OWNER_MISMATCH.
    package static let delegationTokenOwnerMismatch = ErrorCode(rawValue: 63)
    /// DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.
    package static let delegationTokenRequestNotAllowed = ErrorCode(rawValue: 64)
    /// DELEGATION_TOKEN_AUTHORIZATION_FAILED.
    package static let delegationTokenAuthorizationFailed = ErrorCode(rawValue: 65)
    /// DELEGATION_TOKEN_EXPIRED.
    package static let delegationTokenExpired = ErrorCode(rawValue: 66)
    /// INVALID_PRINCIPAL_TYPE.
    package static let invalidPrincipalType = ErrorCode(rawValue: 67)
    /// NON_EMPTY_GROUP.
    package static let nonEmptyGroup = ErrorCode(rawValue: 68)
    /// GROUP_ID_NOT_FOUND.
    package static let groupIDNotFound = ErrorCode(rawValue: 69)
    /// FETCH_SESSION_ID_NOT_FOUND.
    package static let fetchSessionIDNotFound = ErrorCode(rawValue: 70)
    /// INVALID_FETCH_SESSION_EPOCH.
    package static let invalidFetchSessionEpoch = ErrorCode(rawValue: 71)
    /// LISTENER_NOT_FOUND.
    package static let listenerNotFound = ErrorCode(rawValue: 72)
    /// TOPIC_DELETION_DISABLED.
    package static let topicDeletionDisabled = ErrorCode(rawValue: 73)
    /// FENCED_LEADER_EPOCH.
    package static let fencedLeaderEpoch = ErrorCode(rawValue: 74)
    /// UNKNOWN_LEADER_EPOCH.
    package static let unknownLeaderEpoch = ErrorCode(rawValue: 75)
    /// UNSUPPORTED_COMPRESSION_TYPE.
    package static let unsupportedCompressionType = ErrorCode(rawValue: 76)
    /// STALE_BROKER_EPOCH.
    package static let staleBrokerEpoch = ErrorCode(rawValue: 77)
    /// OFFSET_NOT_AVAILABLE.
    package static let offsetNotAvailable = ErrorCode(rawValue: 78)
    /// MEMBER_ID_REQUIRED.
    package static let memberIDRequired = ErrorCode(rawValue: 79)
    /// PREFERRED_LEADER_NOT_AVAILABLE.
    package static let preferredLeaderNotAvailable = ErrorCode(rawValue: 80)
    /// GROUP_MAX_SIZE_REACHED.
    package static let groupMaxSizeReached = ErrorCode(rawValue: 81)
    /// FENCED_INSTANCE_ID.
    package static let fencedInstanceID = ErrorCode(rawValue: 82)
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE.
    package static let eligibleLeadersNotAvailable = ErrorCode(rawValue: 83)
    /// ELECTION_NOT_NEEDED.
    package static let electionNotNeeded = ErrorCode(rawValue: 84)
    /// NO_REASSIGNMENT_IN_PROGRESS.
    package static let noReassignmentInProgress = ErrorCode(rawValue: 85)
    /// GROUP_SUBSCRIBED_TO_TOPIC.
    package static let groupSubscribedToTopic = ErrorCode(rawValue: 86)
    /// INVALID_RECORD.
    package static let invalidRecord = ErrorCode(rawValue: 87)
    /// UNSTABLE_OFFSET_COMMIT.
    package static let unstableOffsetCommit = ErrorCode(rawValue: 88)
    /// THROTTLING_QUOTA_EXCEEDED.
    package static let throttlingQuotaExceeded = ErrorCode(rawValue: 89)
    /// PRODUCER_FENCED.
    package static let producerFenced = ErrorCode(rawValue: 90)
    /// RESOURCE_NOT_FOUND.
    package static let resourceNotFound = ErrorCode(rawValue: 91)
    /// DUPLICATE_RESOURCE.
    package static let duplicateResource = ErrorCode(rawValue: 92)
    /// UNACCEPTABLE_CREDENTIAL.
    package static let unacceptableCredential = ErrorCode(rawValue: 93)
    /// INCONSISTENT_VOTER_SET.
    package static let inconsistentVoterSet = ErrorCode(rawValue: 94)
    /// INVALID_UPDATE_VERSION.
    package static let invalidUpdateVersion = ErrorCode(rawValue: 95)
    /// FEATURE_UPDATE_FAILED.
    package static let featureUpdateFailed = ErrorCode(rawValue: 96)
    /// PRINCIPAL_DESERIALIZATION_FAILURE.
    package static let principalDeserializationFailure = ErrorCode(rawValue: 97)
    /// SNAPSHOT_NOT_FOUND.
    package static let snapshotNotFound = ErrorCode(rawValue: 98)
    /// POSITION_OUT_OF_RANGE.
    package static let positionOutOfRange = ErrorCode(rawValue: 99)
    /// UNKNOWN_TOPIC_ID.
    package static let unknownTopicID = ErrorCode(rawValue: 100)
    /// DUPLICATE_BROKER_REGISTRATION.
    package static let duplicateBrokerRegistration = ErrorCode(rawValue: 101)
    /// BROKER_ID_NOT_REGISTERED.
    package static let brokerIDNotRegistered = ErrorCode(rawValue: 102)
    /// INCONSISTENT_TOPIC_ID.
    package static let inconsistentTopicID = ErrorCode(rawValue: 103)
    /// INCONSISTENT_CLUSTER_ID.
    package static let inconsistentClusterID = ErrorCode(rawValue: 104)
    /// TRANSACTIONAL_ID_NOT_FOUND.
    package static let transactionalIDNotFound = ErrorCode(rawValue: 105)
    /// FETCH_SESSION_TOPIC_ID_ERROR.
    package static let fetchSessionTopicIDError = ErrorCode(rawValue: 106)
    /// INELIGIBLE_REPLICA.
    package static let ineligibleReplica = ErrorCode(rawValue: 107)
    /// NEW_LEADER_ELECTED.
    package static let newLeaderElected = ErrorCode(rawValue: 108)
    /// OFFSET_MOVED_TO_TIERED_STORAGE.
    package static let offsetMovedToTieredStorage = ErrorCode(rawValue: 109)
    /// FENCED_MEMBER_EPOCH.
    package static let fencedMemberEpoch = ErrorCode(rawValue: 110)
    /// UNRELEASED_INSTANCE_ID.
    package static let unreleasedInstanceID = ErrorCode(rawValue: 111)
    /// UNSUPPORTED_ASSIGNOR.
    package static let unsupportedAssignor = ErrorCode(rawValue: 112)
    /// STALE_MEMBER_EPOCH.
    package static let staleMemberEpoch = ErrorCode(rawValue: 113)
    /// MISMATCHED_ENDPOINT_TYPE.
    package static let mismatchedEndpointType = ErrorCode(rawValue: 114)
    /// UNSUPPORTED_ENDPOINT_TYPE.
    package static let unsupportedEndpointType = ErrorCode(rawValue: 115)
    /// UNKNOWN_CONTROLLER_ID.
    package static let unknownControllerID = ErrorCode(rawValue: 116)
    /// UNKNOWN_SUBSCRIPTION_ID.
    package static let unknownSubscriptionID = ErrorCode(rawValue: 117)
    /// TELEMETRY_TOO_LARGE.
    package static let telemetryTooLarge = ErrorCode(rawValue: 118)
    /// INVALID_REGISTRATION.
    package static let invalidRegistration = ErrorCode(rawValue: 119)
    /// TRANSACTION_ABORTABLE.
    package static let transactionAbortable = ErrorCode(rawValue: 120)
    /// INVALID_RECORD_STATE.
    package static let invalidRecordState = ErrorCode(rawValue: 121)
    /// SHARE_SESSION_NOT_FOUND.
    package static let shareSessionNotFound = ErrorCode(rawValue: 122)
    /// INVALID_SHARE_SESSION_EPOCH.
    package static let invalidShareSessionEpoch = ErrorCode(rawValue: 123)
    /// FENCED_STATE_EPOCH.
    package static let fencedStateEpoch = ErrorCode(rawValue: 124)
    /// INVALID_VOTER_KEY.
    package static let invalidVoterKey = ErrorCode(rawValue: 125)
    /// DUPLICATE_VOTER.
    package static let duplicateVoter = ErrorCode(rawValue: 126)
    /// VOTER_NOT_FOUND.
    package static let voterNotFound = ErrorCode(rawValue: 127)
    /// INVALID_REGULAR_EXPRESSION.
    package static let invalidRegularExpression = ErrorCode(rawValue: 128)
    /// REBOOTSTRAP_REQUIRED.
    package static let rebootstrapRequired = ErrorCode(rawValue: 129)
}
