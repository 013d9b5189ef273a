package import Tally
import TallyCluster
import TallyReplication
package import TallyWire

extension ErrorCode {
    /// What Kafka calls an error of the engine.
    init(_ error: any Error) {
        self =
            switch error {
            case let error as EngineError: Self.code(of: error)
            case let error as LogError: Self.code(of: error)
            case let error as GroupError: ErrorCode(rawValue: error.code)
            case let error as TransactionError: ErrorCode(rawValue: error.code)
            case let error as RecordError: Self.code(of: error)
            case let error as ClientRequestError: error.code
            case let error as ReplicationError: Self.code(of: error)
            case let error as ClusterError: Self.code(of: error)
            case is CoordinationError: .requestTimedOut
            default: .unknownServerError
            }
    }

    private static func code(of error: EngineError) -> ErrorCode {
        switch error {
        case .unknownTopic, .unknownPartition, .topicReplaced: .unknownTopicOrPartition
        case .topicExists: .topicAlreadyExists
        case .invalidTopicName, .internalTopic: .invalidTopicException
        case .invalidConfiguration, .configurationIsStated, .configurationIsNotStated,
            .invalidSetting:
            .invalidConfig
        case .keyRequired: .invalidRecord
        case .timestampOutOfRange: .invalidTimestamp
        case .invalidPartitionCount, .partitionsCannotBeRemoved: .invalidPartitions
        case .partitionOffline, .unreadableFile, .recordsWithoutTopic: .kafkaStorageError
        case .recordTooLarge: .messageTooLarge
        case .group(let error): ErrorCode(rawValue: error.code)
        case .transaction(let error): ErrorCode(rawValue: error.code)
        // Whoever asks again finds the engine that is opened next.
        case .closed, .partitionNotKept: .notLeaderOrFollower
        default: .unknownServerError
        }
    }

    private static func code(of error: LogError) -> ErrorCode {
        switch error {
        case .offsetOutOfRange, .truncated: .offsetOutOfRange
        case .invalidBatch(let error): code(of: error)
        case .batchTooLarge(_, _, let setting):
            setting == "segment.bytes" ? .recordListTooLarge : .messageTooLarge
        case .producer(let refusal): code(of: refusal.reason)
        // Not one that makes clients look for another leader: here there is none.
        case .follows: .policyViolation
        case .notLeader, .leads, .notKept: .notLeaderOrFollower
        case .notEnoughReplicas: .notEnoughReplicas
        case .notEnoughInTime: .requestTimedOut
        case .notEnoughReplicasAfterAppend: .notEnoughReplicasAfterAppend
        case .divergence: .unknownServerError
        case .corruption, .file, .stopped, .notCleanable: .kafkaStorageError
        case .closed: .notLeaderOrFollower
        }
    }

    private static func code(of error: ReplicationError) -> ErrorCode {
        switch error {
        case .fencedLeaderEpoch: .fencedLeaderEpoch
        case .unknownLeaderEpoch: .unknownLeaderEpoch
        case .notReplica, .handingOver: .notLeaderOrFollower
        case .staleProcess: .staleBrokerEpoch
        case .notEnoughReplicas: .notEnoughReplicas
        case .notEnoughReplicasAfterAppend: .notEnoughReplicasAfterAppend
        case .offsetNotAvailable: .offsetNotAvailable
        }
    }

    private static func code(of error: ClusterError) -> ErrorCode {
        switch error {
        case .notEnoughMembers: .invalidReplicationFactor
        case .unknownMember, .invalidAssignment: .invalidReplicaAssignment
        }
    }

    private static func code(of error: RecordError) -> ErrorCode {
        switch error.kind {
        case .missingKey, .controlBatchNotAllowed, .badCount, .badOffsetRange,
            .offsetDeltaOutOfOrder, .badOffset:
            .invalidRecord
        case .timestampOutOfRange: .invalidTimestamp
        case .codecNotSupported: .unsupportedCompressionType
        case .wrongMagic: .unsupportedForMessageFormat
        case .batchTooLarge, .decompressedTooLarge: .messageTooLarge
        default: .corruptMessage
        }
    }

    private static func code(of reason: ProducerRefusal.Reason) -> ErrorCode {
        switch reason {
        case .outOfOrderSequence: .outOfOrderSequenceNumber
        case .invalidProducerEpoch: .invalidProducerEpoch
        case .invalidTransactionState: .invalidTransactionState
        case .transactionCoordinatorFenced: .transactionCoordinatorFenced
        case .verificationOutdated: .concurrentTransactions
        case .markerOutdated: .requestTimedOut
        }
    }
}

extension ErrorCode {
    /// How an attempt went: `none`, or the error.
    static func of(_ body: () async throws -> Void) async -> ErrorCode {
        do {
            try await body()
            return .none
        } catch {
            return ErrorCode(error)
        }
    }
}

extension WireUUID {
    /// A topic's identity on the wire.
    package init(_ id: TopicID) { self.init(high: id.high, low: id.low) }

    /// The identity that it stands for.
    var topicID: TopicID { TopicID(high: high, low: low) }
}
