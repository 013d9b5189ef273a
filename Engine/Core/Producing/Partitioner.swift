/// Chooses the partition of records that name none.
///
/// ```swift
/// // Orders of large customers have the last partition, and nobody else's.
/// configuration.partitioner = Partitioner { record in
///     guard record.topic == "orders" else { return nil }
///     let last = record.partitionCount - 1
///     return isLarge(record.key) ? last : record.partitionByKey(among: last)
/// }
/// ```
///
/// Asked once a record, on the sender's task, maybe by several at a time: it should be quick, and
/// should say the same of the same key, or the records of a key lose their order.
public struct Partitioner: Sendable {
    /// What is known of a record before it has a partition. Valid during the call.
    public struct Record: ~Escapable {
        /// The topic it goes to.
        public let topic: String
        /// The topic's partitions are 0 to this, without it.
        public let partitionCount: Int32
        /// The key; nil is not the same as empty.
        public let key: RawSpan?
        /// The value; nil is a tombstone.
        public let value: RawSpan?

        @_lifetime(copy key, copy value)
        init(topic: String, partitionCount: Int32, key: RawSpan?, value: RawSpan?) {
            self.topic = topic
            self.partitionCount = partitionCount
            self.key = key
            self.value = value
        }

        /// Where a record with this key goes, by the hash of Kafka's clients (murmur2), when the
        /// topic's first `count` partitions are to choose from; nil for a record without a key, and
        /// where there is none to choose from.
        public func partitionByKey(among count: Int32) -> Int32? {
            guard let key, count > 0 else { return nil }
            return Murmur2.partition(forKey: key, count: count)
        }
    }

    let choose: @Sendable (borrowing Record) -> Int32?

    /// A partitioner from a closure, or from a type's method. Where it returns nil the record goes
    /// where it would without a partitioner: by its key, as every Kafka client has it (murmur2),
    /// or without a key to the partition that key-less records stick to for now.
    public init(_ choose: @escaping @Sendable (borrowing Record) -> Int32?) {
        self.choose = choose
    }
}
