// What many messages say of topics, in the same bytes.

/// A topic, and of each of some partitions what the message says of it.
package struct TopicOf<Partition: WireStruct>: WireStruct {
    /// The name.
    package var name = ""
    /// The partitions.
    package var partitions: [Partition] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("name", &name)
        try coder.array("partitions", &partitions)
        try coder.tags(&unknownTags)
    }
}

/// A topic, and the numbers of some of its partitions.
package struct TopicPartitions: WireStruct {
    /// The name.
    package var name = ""
    /// The partitions.
    package var partitions: [Int32] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("name", &name)
        try coder.integers("partitions", &partitions)
        try coder.tags(&unknownTags)
    }
}

/// What became of one partition.
package struct PartitionResult: WireStruct {
    /// The partition.
    package var partitionIndex: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("partitionIndex", &partitionIndex)
        try coder.errorCode("errorCode", &errorCode)
        try coder.tags(&unknownTags)
    }
}

/// A topic of a Fetch request or response: by its name, or by its id.
package struct FetchTopicOf<Partition: WireStruct>: WireStruct {
    /// The topic (through version 12; dropped in others).
    package var topic = ""
    /// The id of the topic (version 13 and up; dropped in others).
    package var topicID = WireUUID.zero
    /// The partitions.
    package var partitions: [Partition] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The structure with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("topic", &topic, through: 12, isIgnorable: true)
        try coder.uuid("topicID", &topicID, from: 13, isIgnorable: true)
        try coder.array("partitions", &partitions)
        try coder.tags(&unknownTags)
    }
}
