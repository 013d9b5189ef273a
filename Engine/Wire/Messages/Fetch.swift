/// Asks for record batches from given offsets on, and waits for some.
package struct FetchRequest: WireRequest {
    /// What answers it.
    package typealias Response = FetchResponse
    /// Its API.
    package static let api = APIKey.fetch
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 4...17
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 12

    /// The id of the cluster (version 12 and up; dropped in others).
    package var clusterID: String?
    /// The broker that asks as a replica; -1 for consumers (through version 14).
    package var replicaID: Int32 = -1
    /// The replica that fetches (version 15 and up).
    package var replicaState = ReplicaState()
    /// How long to wait for `minBytes`.
    package var maxWaitMilliseconds: Int32 = 0
    /// How many bytes are worth a response.
    package var minBytes: Int32 = 0
    /// The most bytes in the response, but for a first batch that is larger.
    package var maxBytes: Int32 = .max
    /// Which records are seen: 0 all, 1 those of committed transactions only.
    package var isolationLevel: Int8 = 0
    /// The fetch session; 0 is none (version 7 and up; dropped in others).
    package var sessionID: Int32 = 0
    /// The number of the request in its fetch session; -1 is without one (version 7 and up;
    /// dropped in others).
    package var sessionEpoch: Int32 = -1
    /// The topics.
    package var topics: [Topic] = []
    /// Partitions that leave the fetch session (version 7 and up).
    package var forgottenTopics: [ForgottenTopic] = []
    /// The rack (version 11 and up; dropped in others).
    package var rackID = ""
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("replicaID", &replicaID, through: 14, otherwise: -1)
        try coder.int32("maxWaitMilliseconds", &maxWaitMilliseconds)
        try coder.int32("minBytes", &minBytes)
        try coder.int32("maxBytes", &maxBytes)
        try coder.int8("isolationLevel", &isolationLevel)
        try coder.int32("sessionID", &sessionID, from: 7, isIgnorable: true)
        try coder.int32("sessionEpoch", &sessionEpoch, from: 7, isIgnorable: true)
        try coder.array("topics", &topics)
        try coder.array("forgottenTopics", &forgottenTopics, from: 7)
        try coder.string("rackID", &rackID, from: 11, isIgnorable: true)
        let known = [
            KnownTag(0, "clusterID", from: 12, isSet: clusterID != nil, isIgnorable: true),
            KnownTag(1, "replicaState", from: 15, isSet: replicaState != ReplicaState()),
        ]
        unknownTags = try coder.tags(unknownTags, known: known) {
            (coder, tag) throws(WireError) in
            switch tag {
            case 0: try coder.nullableString("clusterID", &clusterID)
            default: try coder.structure(&replicaState)
            }
        }
    }

    /// The replica that fetches.
    package struct ReplicaState: WireStruct {
        /// The broker that asks as a replica; -1 for consumers.
        package var replicaID: Int32 = -1
        /// The epoch of the replica's broker, or -1.
        package var replicaEpoch: Int64 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("replicaID", &replicaID)
            try coder.int64("replicaEpoch", &replicaEpoch)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package typealias Topic = FetchTopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partition: Int32 = 0
        /// The leader epoch that the client knows, or -1; another is an error (version 9 and up;
        /// dropped in others).
        package var currentLeaderEpoch: Int32 = -1
        /// The offset to read from.
        package var fetchOffset: Int64 = 0
        /// The epoch of the last record that the replica has, or -1 (version 12 and up).
        package var lastFetchedEpoch: Int32 = -1
        /// The first offset of the log, or -1 (version 5 and up; dropped in others).
        package var logStartOffset: Int64 = -1
        /// The most bytes of this partition, but for a first batch that is larger.
        package var partitionMaxBytes: Int32 = 0
        /// The directory of the replica that fetches (version 17 and up; dropped in others).
        package var replicaDirectoryID = WireUUID.zero
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partition", &partition)
            try coder.int32("currentLeaderEpoch", &currentLeaderEpoch, from: 9, isIgnorable: true)
            try coder.int64("fetchOffset", &fetchOffset)
            try coder.int32("lastFetchedEpoch", &lastFetchedEpoch, from: 12, otherwise: -1)
            try coder.int64("logStartOffset", &logStartOffset, from: 5, isIgnorable: true)
            try coder.int32("partitionMaxBytes", &partitionMaxBytes)
            let known = [
                KnownTag(
                    0, "replicaDirectoryID", from: 17, isSet: replicaDirectoryID != .zero,
                    isIgnorable: true)
            ]
            unknownTags = try coder.tags(unknownTags, known: known) {
                (coder, _) throws(WireError) in
                try coder.uuid("replicaDirectoryID", &replicaDirectoryID)
            }
        }
    }

    /// Partitions that leave the fetch session.
    package struct ForgottenTopic: WireStruct {
        /// The topic (versions 7 to 12; dropped in others).
        package var topic = ""
        /// The id of the topic (version 13 and up; dropped in others).
        package var topicID = WireUUID.zero
        /// The partitions.
        package var partitions: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("topic", &topic, through: 12, isIgnorable: true)
            try coder.uuid("topicID", &topicID, from: 13, isIgnorable: true)
            try coder.integers("partitions", &partitions)
            try coder.tags(&unknownTags)
        }
    }
}
