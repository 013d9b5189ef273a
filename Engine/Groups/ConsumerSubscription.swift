public import TallyRecords

/// Some partitions of one topic.
public struct TopicPartitions: Hashable, Sendable {
    /// The topic's name.
    public var topic: String
    /// The numbers of the partitions, in the order of the bytes.
    public var partitions: [Int32]

    /// Partitions of a topic.
    public init(topic: String, partitions: [Int32]) {
        self.topic = topic
        self.partitions = partitions
    }

    /// Groups partitions by their topics, in order.
    public static func grouped(_ partitions: some Sequence<TopicPartition>) -> [TopicPartitions] {
        var topics: [TopicPartitions] = []
        for partition in partitions.sorted() {
            if topics.last?.topic == partition.topic {
                topics[topics.count - 1].partitions.append(partition.partition)
            } else {
                topics.append(
                    TopicPartitions(topic: partition.topic, partitions: [partition.partition]))
            }
        }
        return topics
    }

    /// The partitions one by one.
    public var each: [TopicPartition] {
        partitions.map { TopicPartition(topic: topic, partition: $0) }
    }
}

/// What a consumer tells its group when it joins: the metadata of its protocols.
///
/// The bytes are Kafka's `ConsumerProtocolSubscription`, versions 0 to 3; see FORMAT.md.
public struct ConsumerSubscription: Hashable, Sendable {
    /// The protocol type of groups of consumers.
    public static let protocolType = "consumer"
    /// The newest version that is written.
    public static let newestVersion: Int16 = 3

    /// The version of the bytes; what a version does not have is not written.
    public var version: Int16
    /// The topics it wants to read, in the order of the bytes.
    public var topics: [String]
    /// Whatever the assignor wants.
    public var userData: [UInt8]?
    /// What it reads now (version 1 and up).
    public var ownedPartitions: [TopicPartitions]
    /// The generation in which it got that, or -1 (version 2 and up).
    public var generation: Int32
    /// Where it is (version 3 and up).
    public var rackID: String?

    /// A subscription.
    public init(
        version: Int16 = newestVersion, topics: [String], userData: [UInt8]? = nil,
        ownedPartitions: [TopicPartitions] = [], generation: Int32 = -1, rackID: String? = nil
    ) {
        self.version = version
        self.topics = topics
        self.userData = userData
        self.ownedPartitions = ownedPartitions
        self.generation = generation
        self.rackID = rackID
    }

    /// Reads a subscription. Of a newer version than 3, what version 3 has is read; bytes behind
    /// that are ignored, as Kafka's clients do.
    public init(decoding bytes: [UInt8]) throws(ConsumerProtocolError) {
        var reader = ConsumerProtocolReader(bytes)
        version = try reader.int16()
        guard version >= 0 else { throw .unknownVersion(version) }
        topics = try reader.array { (reader) throws(ConsumerProtocolError) in try reader.text() }
        userData = try reader.nullableBytes()
        ownedPartitions = version >= 1 ? try reader.topicPartitions() : []
        generation = version >= 2 ? try reader.int32() : -1
        rackID = version >= 3 ? try reader.nullableText() : nil
    }

    /// The bytes. Throws where a name is too long for them, or the version is below 0.
    public func encoded() throws(ConsumerProtocolError) -> [UInt8] {
        guard version >= 0 else { throw .unknownVersion(version) }
        var writer = ConsumerProtocolWriter()
        let version = min(version, Self.newestVersion)
        writer.int16(version)
        writer.count(topics.count)
        for topic in topics { try writer.nullableText(topic) }
        writer.nullableBytes(userData)
        if version >= 1 { try writer.topicPartitions(ownedPartitions) }
        if version >= 2 { writer.int32(generation) }
        if version >= 3 { try writer.nullableText(rackID) }
        return writer.bytes
    }

    /// What the consumer owned, and in which generation: from the fields for it, or, where there
    /// is nothing in them, from the user data of Kafka's sticky assignor (KIP-54), which has the
    /// same: partitions, and perhaps the generation.
    public var owned: (partitions: [TopicPartition], generation: Int32) {
        let named = ownedPartitions.flatMap(\.each)
        if named.isEmpty, let userData {
            var reader = ConsumerProtocolReader(userData)
            if let topics = try? reader.topicPartitions() {
                return (topics.flatMap(\.each), (try? reader.int32()) ?? generation)
            }
        }
        if generation == -1, !named.isEmpty, let userData, userData.count == 4 {
            // Kafka's cooperative sticky assignor keeps nothing but the generation there.
            var reader = ConsumerProtocolReader(userData)
            return (named, (try? reader.int32()) ?? -1)
        }
        return (named, generation)
    }
}

/// What a consumer is to read: what the leader computed for it.
///
/// The bytes are Kafka's `ConsumerProtocolAssignment`, versions 0 to 3, which are all the same; see
/// FORMAT.md.
public struct ConsumerAssignment: Hashable, Sendable {
    /// The version of the bytes.
    public var version: Int16
    /// The partitions by topic, in the order of the bytes.
    public var assignedPartitions: [TopicPartitions]
    /// Whatever the assignor wants.
    public var userData: [UInt8]?

    /// An assignment.
    public init(
        version: Int16 = 0, assignedPartitions: [TopicPartitions], userData: [UInt8]? = nil
    ) {
        self.version = version
        self.assignedPartitions = assignedPartitions
        self.userData = userData
    }

    /// Reads an assignment; bytes behind it are ignored. No bytes at all are an assignment of
    /// nothing: what a member gets that the leader did not mention.
    public init(decoding bytes: [UInt8]) throws(ConsumerProtocolError) {
        guard !bytes.isEmpty else {
            self.init(assignedPartitions: [])
            return
        }
        var reader = ConsumerProtocolReader(bytes)
        let version = try reader.int16()
        guard version >= 0 else { throw .unknownVersion(version) }
        let assignedPartitions = try reader.topicPartitions()
        let userData = try reader.nullableBytes()
        self.init(version: version, assignedPartitions: assignedPartitions, userData: userData)
    }

    /// The bytes. Throws where a name is too long for them, or the version is below 0.
    public func encoded() throws(ConsumerProtocolError) -> [UInt8] {
        guard version >= 0 else { throw .unknownVersion(version) }
        var writer = ConsumerProtocolWriter()
        writer.int16(min(version, ConsumerSubscription.newestVersion))
        try writer.topicPartitions(assignedPartitions)
        writer.nullableBytes(userData)
        return writer.bytes
    }

    /// The partitions one by one.
    public var partitions: [TopicPartition] { assignedPartitions.flatMap(\.each) }
}
