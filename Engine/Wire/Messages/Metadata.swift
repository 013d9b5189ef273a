/// Asks which brokers there are, and which topics with which leaders.
package struct MetadataRequest: WireRequest {
    /// What answers it.
    package typealias Response = MetadataResponse
    /// Its API.
    package static let api = APIKey.metadata
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...13
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 9
    /// librdkafka 2.16, asked for all topics in a flexible version, sends the null array as four
    /// zero bytes instead of one. That pushes the end of the request, `allowAutoTopicCreation` and
    /// what follows, behind the end of what is read.
    package static let allowsTrailingBytes = true

    /// The topics that are wanted, or null for all; in version 0 none means all.
    package var topics: [Topic]? = []
    /// Whether topics that do not exist may be created (version 4 and up).
    package var allowAutoTopicCreation = true
    /// Whether to tell what the client may do with the cluster (versions 8 to 10).
    package var includeClusterAuthorizedOperations = false
    /// Whether to tell what the client may do with the topics (version 8 and up).
    package var includeTopicAuthorizedOperations = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.nullableArray("topics", &topics, nullableFrom: 1)
        try coder.bool("allowAutoTopicCreation", &allowAutoTopicCreation, from: 4, otherwise: true)
        try coder.bool(
            "includeClusterAuthorizedOperations", &includeClusterAuthorizedOperations, from: 8,
            through: 10)
        try coder.bool(
            "includeTopicAuthorizedOperations", &includeTopicAuthorizedOperations, from: 8)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package struct Topic: WireStruct {
        /// The id of the topic (version 10 and up; dropped in others).
        package var topicID = WireUUID.zero
        /// The name.
        package var name: String? = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.uuid("topicID", &topicID, from: 10, isIgnorable: true)
            try coder.nullableString("name", &name, nullableFrom: 10)
            try coder.tags(&unknownTags)
        }
    }
}

/// The brokers, and the topics that were asked for.
package struct MetadataResponse: WireResponse {
    /// What it answers.
    package typealias Request = MetadataRequest

    /// How long the client has been slowed down for its quota (version 3 and up; dropped in
    /// others).
    package var throttleTimeMilliseconds: Int32 = 0
    /// The brokers that are alive.
    package var brokers: [Broker] = []
    /// The id of the cluster (version 2 and up; dropped in others).
    package var clusterID: String?
    /// The broker that is the controller, or -1 (version 1 and up; dropped in others).
    package var controllerID: Int32 = -1
    /// The topics.
    package var topics: [Topic] = []
    /// What the client may do with the cluster, as bits; `Int32.min` where that was not asked
    /// for (versions 8 to 10).
    package var clusterAuthorizedOperations: Int32 = .min
    /// What went wrong with the whole request, or `none` (version 13 and up; dropped in others).
    package var errorCode = ErrorCode.none
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32(
            "throttleTimeMilliseconds", &throttleTimeMilliseconds, from: 3, isIgnorable: true)
        try coder.array("brokers", &brokers)
        try coder.nullableString("clusterID", &clusterID, from: 2, isIgnorable: true)
        try coder.int32("controllerID", &controllerID, from: 1, isIgnorable: true)
        try coder.array("topics", &topics)
        try coder.int32(
            "clusterAuthorizedOperations", &clusterAuthorizedOperations, from: 8, through: 10,
            otherwise: .min)
        try coder.errorCode("errorCode", &errorCode, from: 13, isIgnorable: true)
        try coder.tags(&unknownTags)
    }

    /// A broker.
    package struct Broker: WireStruct {
        /// The broker.
        package var nodeID: Int32 = 0
        /// The host name.
        package var host = ""
        /// The port.
        package var port: Int32 = 0
        /// The rack of the broker (version 1 and up; dropped in others).
        package var rack: String?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("nodeID", &nodeID)
            try coder.string("host", &host)
            try coder.int32("port", &port)
            try coder.nullableString("rack", &rack, from: 1, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package struct Topic: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The name.
        package var name: String? = ""
        /// The id of the topic (version 10 and up; dropped in others).
        package var topicID = WireUUID.zero
        /// Whether the topic is Kafka's own (version 1 and up; dropped in others).
        package var isInternal = false
        /// The partitions.
        package var partitions: [Partition] = []
        /// What the client may do with the topic, as bits; `Int32.min` where that was not asked for
        /// (version 8 and up).
        package var topicAuthorizedOperations: Int32 = .min
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.nullableString("name", &name, nullableFrom: 12)
            try coder.uuid("topicID", &topicID, from: 10, isIgnorable: true)
            try coder.bool("isInternal", &isInternal, from: 1, isIgnorable: true)
            try coder.array("partitions", &partitions)
            try coder.int32(
                "topicAuthorizedOperations", &topicAuthorizedOperations, from: 8, otherwise: .min)
            try coder.tags(&unknownTags)
        }
    }

    /// A partition.
    package struct Partition: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// The broker that leads, or -1.
        package var leaderID: Int32 = 0
        /// The leader epoch, or -1 (version 7 and up; dropped in others).
        package var leaderEpoch: Int32 = -1
        /// The brokers that have the partition.
        package var replicaNodes: [Int32] = []
        /// The brokers whose copies are in sync.
        package var inSyncReplicaNodes: [Int32] = []
        /// The brokers whose copies are not there (version 5 and up; dropped in others).
        package var offlineReplicas: [Int32] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.int32("leaderID", &leaderID)
            try coder.int32("leaderEpoch", &leaderEpoch, from: 7, isIgnorable: true)
            try coder.integers("replicaNodes", &replicaNodes)
            try coder.integers("inSyncReplicaNodes", &inSyncReplicaNodes)
            try coder.integers("offlineReplicas", &offlineReplicas, from: 5, isIgnorable: true)
            try coder.tags(&unknownTags)
        }
    }
}
