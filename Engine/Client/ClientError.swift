package import TallyRecords
package import TallyWire

/// Why a broker could not be asked, or what it said instead of an answer.
package enum ClientError: Error, Hashable, Sendable {
    /// Nobody accepted the connection: the name is not known, the port refuses, or it took too
    /// long.
    case cannotConnect(BrokerAddress, reason: String)
    /// The connection ended, at whichever side, before the answer was there.
    case closed(BrokerAddress, reason: String)
    /// No answer in time. The connection is ended: answers come in order, and those behind it
    /// would wait as long.
    case timedOut(BrokerAddress, request: String, milliseconds: Int64)
    /// The broker and this client know no version of a request in common; nil where the broker
    /// does not know the request at all.
    case unsupportedVersion(
        BrokerAddress, request: String, known: ClosedRange<Int16>, offered: ClosedRange<Int16>?)
    /// What came is no answer of the Kafka protocol. The connection is ended.
    case malformedAnswer(BrokerAddress, reason: String)
    /// An answer that claims more bytes than are taken. The connection is ended.
    case answerTooLarge(BrokerAddress, byteCount: Int, limit: Int)
    /// A request that its version cannot say.
    case invalidRequest(request: String, reason: String)
    /// The broker's answer is an error.
    case refused(request: String, subject: String, code: ErrorCode, message: String?)
    /// A partition has no leader now.
    case noLeader(TopicPartition)
    /// It was tried again until the time was over; with what went wrong last.
    indirect case gaveUp(afterMilliseconds: Int64, last: ClientError)
}

extension ClientError {
    /// Whether the same request may succeed later, or with another broker.
    package var isRetriable: Bool {
        switch self {
        case .cannotConnect, .closed, .timedOut, .noLeader: true
        case .refused(_, _, let code, _): code.isRetriable
        case .unsupportedVersion, .malformedAnswer, .answerTooLarge, .invalidRequest, .gaveUp:
            false
        }
    }

    /// The broker's error; nil where it is none of a broker.
    package var code: ErrorCode? {
        switch self {
        case .refused(_, _, let code, _): code
        case .gaveUp(_, let last): last.code
        default: nil
        }
    }
}

extension ClientError: CustomStringConvertible {
    /// What happened, with whom, and what to do about it.
    package var description: String {
        switch self {
        case .cannotConnect(let address, let reason):
            "There is no connection to \(address): \(reason). Is a broker listening there?"
        case .closed(let address, let reason): "The connection to \(address) ended: \(reason)."
        case .timedOut(let address, let request, let milliseconds):
            "\(address) has not answered a \(request) request within \(milliseconds) ms."
        case .unsupportedVersion(let address, let request, let known, let offered):
            if let offered {
                """
                \(address) knows versions \(offered.lowerBound) to \(offered.upperBound) of \
                \(request), and this client \(known.lowerBound) to \(known.upperBound).
                """
            } else {
                "\(address) does not know the request \(request)."
            }
        case .malformedAnswer(let address, let reason):
            "\(address) does not answer as a Kafka broker does: \(reason)."
        case .answerTooLarge(let address, let byteCount, let limit):
            "\(address) announced an answer of \(byteCount) bytes, and \(limit) are taken."
        case .invalidRequest(let request, let reason):
            "A \(request) request cannot be sent: \(reason)."
        case .refused(let request, let subject, let code, let message):
            "\(request) of \(subject): \(code)" + (message.map { " (\($0))" } ?? "") + "."
        case .noLeader(let partition): "\(partition) has no leader now."
        case .gaveUp(let milliseconds, let last):
            "Tried for \(milliseconds) ms. \(last)"
        }
    }
}

extension ErrorCode {
    /// Whether Kafka's clients ask again after it.
    package var isRetriable: Bool { Self.retriable.contains(self) }

    private static let retriable: Set<ErrorCode> = [
        .corruptMessage, .unknownTopicOrPartition, .leaderNotAvailable, .notLeaderOrFollower,
        .requestTimedOut, .brokerNotAvailable, .replicaNotAvailable, .networkException,
        .coordinatorLoadInProgress, .coordinatorNotAvailable, .notCoordinator,
        .notEnoughReplicas, .notEnoughReplicasAfterAppend, .notController,
        .concurrentTransactions, .kafkaStorageError, .listenerNotFound, .fencedLeaderEpoch,
        .unknownLeaderEpoch, .offsetNotAvailable, .preferredLeaderNotAvailable,
        .unstableOffsetCommit, .throttlingQuotaExceeded, .unknownTopicID, .inconsistentTopicID,
    ]

    /// Whether it says that the client has an outdated view of who leads what.
    package var concernsLeadership: Bool { Self.leadership.contains(self) }

    private static let leadership: Set<ErrorCode> = [
        .unknownTopicOrPartition, .leaderNotAvailable, .notLeaderOrFollower, .notController,
        .replicaNotAvailable, .kafkaStorageError, .listenerNotFound, .fencedLeaderEpoch,
        .unknownLeaderEpoch, .unknownTopicID, .inconsistentTopicID, .preferredLeaderNotAvailable,
    ]
}
