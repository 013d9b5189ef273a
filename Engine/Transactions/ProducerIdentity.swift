/// Who a producer is: its id and its epoch, the number of the incarnation.
///
/// Of two producers with the same id the one with the lower epoch is a zombie.
public struct ProducerIdentity: Hashable, Sendable, CustomStringConvertible {
    /// The producer id, 0 or more.
    public var id: Int64
    /// The epoch. Producers are given 0 through ``epochMax``; markers may carry one more.
    public var epoch: Int16

    /// An id with an epoch.
    public init(id: Int64, epoch: Int16) {
        self.id = id
        self.epoch = epoch
    }

    /// The last epoch that a producer is given, as in Kafka: one more is left for the marker that
    /// ends its last transaction, and a new producer id follows.
    public static let epochMax = Int16.max - 1

    /// Whether there is no epoch behind this one for a producer.
    var isExhausted: Bool { epoch >= Self.epochMax }

    /// The same id with the epoch raised by one; stays where it is at the end of all numbers.
    var raised: ProducerIdentity {
        ProducerIdentity(id: id, epoch: epoch == .max ? epoch : epoch + 1)
    }

    /// Id and epoch, for people.
    public var description: String { "producer \(id), epoch \(epoch)" }
}
