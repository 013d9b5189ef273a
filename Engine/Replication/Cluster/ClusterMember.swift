/// A member of the cluster that is alive: `members/<id>`, which goes with its lease.
///
/// The revision that put the key is the member's *broker epoch*, in Kafka's words: a member that
/// comes back has a higher one.
public struct ClusterMember: Hashable, Sendable {
    /// Its number (`node.id`); 0 or more.
    public var id: ReplicaID
    /// Where clients and other members reach it.
    public var host: String
    /// Where clients and other members reach it; 1 to 65,535.
    public var port: Int32
    /// Which rack or zone it is in (`broker.rack`).
    public var rack: String?
    /// Drawn anew at each start of the process: tells a restart from a lease that was lost.
    public var incarnation: UInt64
    /// The newest version of records that it reads. Nobody writes a newer one than all members do.
    public var recordVersionMax: UInt8

    /// The newest version of this and all other records that this program reads and writes.
    public static let newestVersion: UInt8 = 1

    /// A member.
    public init(
        id: ReplicaID, host: String, port: Int32, rack: String? = nil, incarnation: UInt64,
        recordVersionMax: UInt8 = newestVersion
    ) {
        self.id = id
        self.host = host
        self.port = port
        self.rack = rack
        self.incarnation = incarnation
        self.recordVersionMax = recordVersionMax
    }

    /// The value of the key.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        writer.write(id.rawValue)
        writer.write(host)
        writer.write(port)
        writer.write(rack)
        writer.write(incarnation)
        writer.write(recordVersionMax)
        return writer.bytes
    }

    /// Reads the value of the key.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(bytes, of: "member", newest: Self.newestVersion)
        id = ReplicaID(try reader.number("id"))
        host = try reader.text()
        port = try reader.integer(Int32.self)
        guard (1...65_535).contains(port) else { throw reader.fault("port \(port)") }
        rack = try reader.optionalText()
        incarnation = try reader.integer(UInt64.self)
        recordVersionMax = try reader.integer(UInt8.self)
        guard recordVersionMax > 0 else { throw reader.fault("record version 0") }
        try reader.finish()
    }
}
