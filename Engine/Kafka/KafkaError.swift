import Tally
import TallyClient
import TallyWire

/// What a cluster has said, or why it could not be asked, where none of the errors of ``Tally``
/// says the same.
public struct KafkaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Kafka's number for the error; nil where it is none of a broker: a connection that fails, an
    /// answer that does not come.
    public var code: Int16?
    /// Whether the same may succeed later.
    public var isRetriable: Bool
    /// What happened, with whom, and what to do about it.
    public var description: String

    init(_ error: ClientError) {
        code = error.code?.rawValue
        isRetriable = error.isRetriable
        description = error.description
    }
}

extension ClientError {
    /// The error as an application gets it: that of an engine where there is one for it.
    ///
    /// - Parameter topic: what was asked about.
    func told(about topic: String?) -> any Error {
        switch code {
        case .unknownTopicOrPartition, .unknownTopicID:
            EngineError.unknownTopic(name: topic ?? "", known: [])
        case .invalidTopicException:
            EngineError.invalidTopicName(name: topic ?? "", reason: "the cluster refuses it")
        default: KafkaError(self)
        }
    }
}
