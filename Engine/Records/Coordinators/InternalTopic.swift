/// The two topics in which Kafka's coordinators record what they decide, and which of their
/// partitions keeps what.
package enum InternalTopic: String, Hashable, Sendable, CaseIterable {
    /// Groups and their offsets.
    case consumerOffsets = "__consumer_offsets"
    /// Transactional ids.
    case transactionState = "__transaction_state"

    /// How many partitions each has where nobody says (`offsets.topic.num.partitions`,
    /// `transaction.state.log.num.partitions`).
    package static let defaultPartitionCount: Int32 = 50

    /// The partition that keeps a group or a transactional id: Kafka's
    /// `Utils.abs(id.hashCode()) % partitions`, so that its brokers and clients find the same.
    ///
    /// - Parameter count: the partitions of the topic, 1 or more.
    package static func partition(of id: String, count: Int32) -> Int32 {
        let hash = javaHash(of: id)
        // As Kafka has it: the one number without a positive counterpart counts as 0.
        return (hash == .min ? 0 : abs(hash)) % max(count, 1)
    }

    /// Java's `String.hashCode`: over UTF-16 units, in 32 bits that wrap round.
    static func javaHash(of text: String) -> Int32 {
        text.utf16.reduce(Int32(0)) { hash, unit in
            hash &* 31 &+ Int32(unit)
        }
    }
}
