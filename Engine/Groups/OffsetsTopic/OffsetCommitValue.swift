package import TallyRecords

/// How far a group has read a partition, as `__consumer_offsets` keeps it. The bytes are Kafka's
/// `OffsetCommitValue`, versions 0 to 4; see FORMAT.md.
package struct OffsetCommitValue: Hashable, Sendable {
    /// The version that is written where the topic's id is known, as Kafka does since it has one;
    /// it reads it, but for the id, since 3.5.
    package static let identifiedVersion: Int16 = 4
    /// The version that is written otherwise.
    package static let version: Int16 = 3

    /// The next offset to be read.
    package var offset: Offset
    /// The leader epoch of the last record that was read, or `.none` (version 3 and up).
    package var leaderEpoch: LeaderEpoch
    /// The committer's note.
    package var metadata: String
    /// When it was committed.
    package var commitTimestamp: Timestamp
    /// When it is to be forgotten, where the committer said so (version 1); `.none` otherwise.
    package var expireTimestamp: Timestamp
    /// The 16 bytes of the topic's id (version 4, tag 0); nil where it is not known.
    package var topicID: [UInt8]?

    /// A value.
    package init(
        offset: Offset, leaderEpoch: LeaderEpoch = .none, metadata: String = "",
        commitTimestamp: Timestamp, expireTimestamp: Timestamp = .none, topicID: [UInt8]? = nil
    ) {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
        self.commitTimestamp = commitTimestamp
        self.expireTimestamp = expireTimestamp
        self.topicID = topicID
    }

    /// Reads a value. An offset below 0 and a version that is not known are errors.
    package init(decoding bytes: [UInt8]) throws(CoordinatorRecordError) {
        var reader = CoordinatorRecordReader(bytes)
        let version: Int16 = try reader.integer()
        guard (0...4).contains(version) else {
            throw .unknownVersion(of: "the value of an offset", version)
        }
        reader.isFlexible = version >= 4
        let offset: Int64 = try reader.integer()
        guard offset >= 0 else { throw .badValue(field: "offset", value: offset) }
        let leaderEpoch: Int32 = version >= 3 ? try reader.integer() : -1
        guard leaderEpoch >= -1 else {
            throw .badValue(field: "leaderEpoch", value: Int64(leaderEpoch))
        }
        let metadata = try reader.text()
        let commitTimestamp: Int64 = try reader.integer()
        let expireTimestamp: Int64 = version == 1 ? try reader.integer() : -1
        var topicID: [UInt8]?
        try reader.taggedFields { (tag, field) throws(CoordinatorRecordError) in
            guard tag == 0 else { return }
            let high: UInt64 = try field.integer()
            let low: UInt64 = try field.integer()
            try field.requireEnd()
            guard high != 0 || low != 0 else { return }
            var bytes: [UInt8] = []
            bytes.append(bigEndian: high)
            bytes.append(bigEndian: low)
            topicID = bytes
        }
        try reader.requireEnd()
        self.init(
            offset: Offset(offset), leaderEpoch: LeaderEpoch(leaderEpoch), metadata: metadata,
            commitTimestamp: Timestamp(milliseconds: commitTimestamp),
            expireTimestamp: Timestamp(milliseconds: expireTimestamp), topicID: topicID)
    }

    /// The bytes, of a version from 0 to 4; what that has no room for is not written. Without one,
    /// the lowest with room for everything but a time to be forgotten at.
    package func encoded(
        version chosen: Int16? = nil
    ) throws(CoordinatorRecordError) -> [UInt8] {
        let version = chosen ?? (topicID == nil ? Self.version : Self.identifiedVersion)
        guard (0...4).contains(version) else {
            throw .unknownVersion(of: "the value of an offset", version)
        }
        var writer = CoordinatorRecordWriter()
        writer.integer(version)
        writer.isFlexible = version >= 4
        writer.integer(offset.rawValue)
        if version >= 3 { writer.integer(leaderEpoch.rawValue) }
        try writer.text(metadata)
        writer.integer(commitTimestamp.rawValue)
        if version == 1 { writer.integer(expireTimestamp.rawValue) }
        if let topicID {
            writer.taggedFields([(tag: 0, bytes: topicID)])
        } else {
            writer.taggedFields()
        }
        return writer.bytes
    }
}
