/// Which producer ids were given out: `producer-ids`. A member takes a block of them by
/// compare-and-swap, and hands them out one by one; what it has left when it ends is lost.
public struct ProducerIDsRecord: Hashable, Sendable {
    /// The first id that nobody has; 0 or more.
    public var nextProducerID: Int64
    /// Who took the last block, for people who look.
    public var lastMember: ReplicaID

    /// How many ids a block has, as with Kafka.
    public static let blockCount: Int64 = 1000

    /// A record.
    public init(nextProducerID: Int64, lastMember: ReplicaID) {
        self.nextProducerID = nextProducerID
        self.lastMember = lastMember
    }

    /// The value of the key.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        writer.write(nextProducerID)
        writer.write(lastMember.rawValue)
        return writer.bytes
    }

    /// Reads the value of the key.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(
            bytes, of: "record of producer ids", newest: ClusterMember.newestVersion)
        nextProducerID = try reader.integer(Int64.self)
        guard nextProducerID >= 0 else { throw reader.fault("the next id is \(nextProducerID)") }
        lastMember = ReplicaID(try reader.number("the member"))
        try reader.finish()
    }

    /// The transaction by which a member takes the next block, and the block that it has if that
    /// succeeds. Nil where the ids are used up.
    ///
    /// - `entry`: the entry of `producer-ids` as it was read, or nil where there was none.
    public static func allocation(
        by member: ReplicaID, entry: CoordinationEntry?
    ) throws -> (block: Range<Int64>, transaction: CoordinationTransaction)? {
        let first = try entry.map { try ProducerIDsRecord(decoding: $0.value).nextProducerID } ?? 0
        let (end, overflow) = first.addingReportingOverflow(blockCount)
        guard !overflow else { return nil }
        let record = ProducerIDsRecord(nextProducerID: end, lastMember: member)
        let transaction = try CoordinationTransaction(
            conditions: [
                .modified(
                    key: ClusterKeys.producerIDs,
                    revision: entry?.modificationRevision ?? .absent)
            ], operations: [.put(key: ClusterKeys.producerIDs, value: record.encoded())])
        return (first..<end, transaction)
    }
}
