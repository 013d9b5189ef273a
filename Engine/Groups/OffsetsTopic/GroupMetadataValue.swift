package import TallyRecords

/// A group as `__consumer_offsets` keeps it. The bytes are Kafka's `GroupMetadataValue`, versions
/// 0 to 4; see FORMAT.md.
package struct GroupMetadataValue: Hashable, Sendable {
    /// The version that is written: what Kafka 4.0 writes.
    package static let version: Int16 = 3

    /// `consumer`, or what else its members said; empty for a group that never had any.
    package var protocolType: String
    /// The generation of its last rebalance.
    package var generation: Int32
    /// The protocol that the members have chosen; nil without members.
    package var protocolName: String?
    /// The member that leads; nil without members.
    package var leaderID: String?
    /// When the group came into the state that it is in (version 2 and up); `.none` where that is
    /// not known.
    package var currentStateTimestamp: Timestamp
    /// The members, with what they are to read.
    package var members: [StoredMember]

    /// A value.
    package init(
        protocolType: String, generation: Int32, protocolName: String? = nil,
        leaderID: String? = nil, currentStateTimestamp: Timestamp = .none,
        members: [StoredMember] = []
    ) {
        self.protocolType = protocolType
        self.generation = generation
        self.protocolName = protocolName
        self.leaderID = leaderID
        self.currentStateTimestamp = currentStateTimestamp
        self.members = members
    }

    /// Reads a value. A version that is not known is an error.
    package init(decoding bytes: [UInt8]) throws(CoordinatorRecordError) {
        var reader = CoordinatorRecordReader(bytes)
        let version: Int16 = try reader.integer()
        guard (0...4).contains(version) else {
            throw .unknownVersion(of: "the value of a group", version)
        }
        reader.isFlexible = version >= 4
        let protocolType = try reader.text()
        let generation: Int32 = try reader.integer()
        let protocolName = try reader.nullableText()
        let leaderID = try reader.nullableText()
        let timestamp: Int64 = version >= 2 ? try reader.integer() : -1
        let members = try reader.array { (reader) throws(CoordinatorRecordError) in
            try StoredMember(from: &reader, version: version)
        }
        try reader.taggedFields()
        try reader.requireEnd()
        self.init(
            protocolType: protocolType, generation: generation, protocolName: protocolName,
            leaderID: leaderID, currentStateTimestamp: Timestamp(milliseconds: timestamp),
            members: members)
    }

    /// The bytes, of a version from 0 to 4; what that has no room for is not written.
    package func encoded(
        version: Int16 = version
    ) throws(CoordinatorRecordError) -> [UInt8] {
        guard (0...4).contains(version) else {
            throw .unknownVersion(of: "the value of a group", version)
        }
        var writer = CoordinatorRecordWriter()
        writer.integer(version)
        writer.isFlexible = version >= 4
        try writer.text(protocolType)
        writer.integer(generation)
        try writer.text(protocolName)
        try writer.text(leaderID)
        if version >= 2 { writer.integer(currentStateTimestamp.rawValue) }
        try writer.array(members) { (member, writer) throws(CoordinatorRecordError) in
            try member.write(to: &writer, version: version)
        }
        writer.taggedFields()
        return writer.bytes
    }
}

/// A member of a group as it is stored with the group: enough to go on with it in another process
/// as if nothing had happened.
public struct StoredMember: Hashable, Sendable {
    /// The member's id.
    public var memberID: String
    /// Its `group.instance.id`, where it is a static member.
    public var instanceID: String?
    /// What its client calls itself.
    public var clientID: String
    /// Where it is.
    public var clientHost: String
    /// How long a rebalance may wait for it, in milliseconds.
    public var rebalanceTimeoutMilliseconds: Int32
    /// How long it may be silent, in milliseconds.
    public var sessionTimeoutMilliseconds: Int32
    /// Its metadata for the protocol that was chosen.
    public var subscription: [UInt8]
    /// What it is to read.
    public var assignment: [UInt8]

    /// A member.
    public init(
        memberID: String, instanceID: String?, clientID: String, clientHost: String,
        rebalanceTimeoutMilliseconds: Int32, sessionTimeoutMilliseconds: Int32,
        subscription: [UInt8], assignment: [UInt8]
    ) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.clientID = clientID
        self.clientHost = clientHost
        self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
        self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        self.subscription = subscription
        self.assignment = assignment
    }

    /// Version 0 has no timeout for rebalances: the session's counts for both, as in Kafka.
    fileprivate init(
        from reader: inout CoordinatorRecordReader, version: Int16
    ) throws(CoordinatorRecordError) {
        memberID = try reader.text()
        instanceID = version >= 3 ? try reader.nullableText() : nil
        clientID = try reader.text()
        clientHost = try reader.text()
        let rebalance: Int32? = version >= 1 ? try reader.integer() : nil
        sessionTimeoutMilliseconds = try reader.integer()
        rebalanceTimeoutMilliseconds = rebalance ?? sessionTimeoutMilliseconds
        subscription = try reader.byteString()
        assignment = try reader.byteString()
        try reader.taggedFields()
    }

    fileprivate func write(
        to writer: inout CoordinatorRecordWriter, version: Int16
    ) throws(CoordinatorRecordError) {
        try writer.text(memberID)
        if version >= 3 { try writer.text(instanceID) }
        try writer.text(clientID)
        try writer.text(clientHost)
        if version >= 1 { writer.integer(rebalanceTimeoutMilliseconds) }
        writer.integer(sessionTimeoutMilliseconds)
        writer.byteString(subscription)
        writer.byteString(assignment)
        writer.taggedFields()
    }
}
