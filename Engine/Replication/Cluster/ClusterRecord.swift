/// What makes a cluster one: `cluster`, put once and never changed.
public struct ClusterRecord: Hashable, Sendable {
    /// The cluster's id, as `meta.properties` of all of its members has it: 22 characters.
    public var clusterID: String

    /// A cluster.
    public init(clusterID: String) { self.clusterID = clusterID }

    /// The value of the key.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        writer.write(clusterID)
        return writer.bytes
    }

    /// Reads the value of the key.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(
            bytes, of: "cluster record", newest: ClusterMember.newestVersion)
        clusterID = try reader.text()
        guard !clusterID.isEmpty else { throw reader.fault("an empty id") }
        try reader.finish()
    }
}
