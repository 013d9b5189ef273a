/// Which member is the controller: `controller`, which goes with the member's lease.
public struct ControllerRecord: Hashable, Sendable {
    /// The member.
    public var member: ReplicaID
    /// Its incarnation: a member that was started anew is not the controller that it was.
    public var incarnation: UInt64
    /// The term of the controller, higher than all before: Kafka's controller epoch.
    public var epoch: Int32

    /// A controller.
    public init(member: ReplicaID, incarnation: UInt64, epoch: Int32) {
        self.member = member
        self.incarnation = incarnation
        self.epoch = epoch
    }

    /// The value of the key.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        writer.write(member.rawValue)
        writer.write(incarnation)
        writer.write(epoch)
        return writer.bytes
    }

    /// Reads the value of the key.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(
            bytes, of: "controller record", newest: ClusterMember.newestVersion)
        member = ReplicaID(try reader.number("the member"))
        incarnation = try reader.integer(UInt64.self)
        epoch = try reader.number("the epoch")
        try reader.finish()
    }
}

/// The term of the last controller: `controller-epoch`, which outlives its lease.
public struct ControllerEpochRecord: Hashable, Sendable {
    /// The term; 0 or more.
    public var epoch: Int32

    /// A term.
    public init(epoch: Int32) { self.epoch = epoch }

    /// The value of the key.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        writer.write(epoch)
        return writer.bytes
    }

    /// Reads the value of the key.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(
            bytes, of: "controller epoch", newest: ClusterMember.newestVersion)
        epoch = try reader.number("the epoch")
        try reader.finish()
    }
}

extension ControllerRecord {
    /// The transaction by which a member becomes the controller: it succeeds if there is none, and
    /// takes the next epoch. The revision of its success is that of `controller`: each transaction
    /// of this controller has the condition that it still is (``fence(_:)``).
    ///
    /// - `epoch`: the entry of `controller-epoch` as it was read, or nil where there was none.
    ///
    /// Gives nil where the epochs are used up. Errors: those of reading the entry.
    public static func election(
        of member: ReplicaID, incarnation: UInt64, lease: LeaseID, epoch entry: CoordinationEntry?
    ) throws -> (record: ControllerRecord, transaction: CoordinationTransaction)? {
        let last = try entry.map { try ControllerEpochRecord(decoding: $0.value).epoch } ?? -1
        guard last < .max else { return nil }
        let record = ControllerRecord(member: member, incarnation: incarnation, epoch: last + 1)
        let transaction = try CoordinationTransaction(
            conditions: [
                .absent(key: ClusterKeys.controller),
                .modified(
                    key: ClusterKeys.controllerEpoch,
                    revision: entry?.modificationRevision ?? .absent),
            ],
            operations: [
                .put(key: ClusterKeys.controller, value: record.encoded(), lease: lease),
                .put(
                    key: ClusterKeys.controllerEpoch,
                    value: ControllerEpochRecord(epoch: record.epoch).encoded()),
            ])
        return (record, transaction)
    }

    /// What every transaction of the controller that was elected at `revision` demands: a deposed
    /// one changes nothing, whatever it believes.
    public static func fence(_ revision: CoordinationRevision) -> CoordinationCondition {
        .modified(key: ClusterKeys.controller, revision: revision)
    }
}
