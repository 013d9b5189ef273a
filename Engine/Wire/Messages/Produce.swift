/// Record batches to be appended to partitions.
package struct ProduceRequest: WireRequest {
    /// What answers it.
    package typealias Response = ProduceResponse
    /// Its API.
    package static let api = APIKey.produce
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 3...12
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 9

    /// The transactional id, or null outside of transactions.
    package var transactionalID: String?
    /// Which acknowledgement is wanted: 0 none, 1 the leader's, -1 that of all in-sync
    /// replicas.
    package var acks: Int16 = 0
    /// How long the broker may take.
    package var timeoutMilliseconds: Int32 = 0
    /// The topics.
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.nullableString("transactionalID", &transactionalID)
        try coder.int16("acks", &acks)
        try coder.int32("timeoutMilliseconds", &timeoutMilliseconds)
        try coder.array("topics", &topics)
        try coder.tags(&unknownTags)
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var index: Int32 = 0
        /// Record batches, as they are in the log.
        package var records: ArraySlice<UInt8>?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("index", &index)
            try coder.records("records", &records)
            try coder.tags(&unknownTags)
        }
    }
}

/// Where each batch was appended, or why it was not. With `acks` 0 there is no response.
package struct ProduceResponse: WireResponse {
    /// What it answers.
    package typealias Request = ProduceRequest

    /// The results, one for each that was asked for.
    package var responses: [Topic] = []
    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// Where leaders named in the response can be reached (version 10 and up).
    package var nodeEndpoints: [Node] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("responses", &responses)
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        let known = [
            KnownTag(0, "nodeEndpoints", from: 10, isSet: !nodeEndpoints.isEmpty)
        ]
        unknownTags = try coder.tags(unknownTags, known: known) {
            (coder, _) throws(WireError) in
            try coder.array("nodeEndpoints", &nodeEndpoints)
        }
    }

    /// A topic.
    package typealias Topic = TopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var index: Int32 = 0
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The offset of the first record.
        package var baseOffset: Int64 = 0
        /// The time of appending, where the topic says so; -1 otherwise.
        package var logAppendTimeMilliseconds: Int64 = -1
        /// The first offset of the log, or -1 (version 5 and up; dropped in others).
        package var logStartOffset: Int64 = -1
        /// The records to blame for an error (version 8 and up; dropped in others).
        package var recordErrors: [RecordError] = []
        /// What went wrong, for people (version 8 and up; dropped in others).
        package var errorMessage: String?
        /// Who leads the partition, where the client had it wrong (version 10 and up).
        package var currentLeader = Leader()
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("index", &index)
            try coder.errorCode("errorCode", &errorCode)
            try coder.int64("baseOffset", &baseOffset)
            try coder.int64("logAppendTimeMilliseconds", &logAppendTimeMilliseconds)
            try coder.int64("logStartOffset", &logStartOffset, from: 5, isIgnorable: true)
            try coder.array("recordErrors", &recordErrors, from: 8, isIgnorable: true)
            try coder.nullableString("errorMessage", &errorMessage, from: 8, isIgnorable: true)
            let known = [
                KnownTag(0, "currentLeader", from: 10, isSet: currentLeader != Leader())
            ]
            unknownTags = try coder.tags(unknownTags, known: known) {
                (coder, _) throws(WireError) in
                try coder.structure(&currentLeader)
            }
        }
    }

    /// A record that kept its batch from being appended.
    package struct RecordError: WireStruct {
        /// The place of the record in its batch, from 0.
        package var recordIndex: Int32 = 0
        /// What went wrong, for people.
        package var errorMessage: String?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("recordIndex", &recordIndex)
            try coder.nullableString("errorMessage", &errorMessage)
            try coder.tags(&unknownTags)
        }
    }

    /// The leader of a partition.
    package typealias Leader = CurrentLeader

    /// Where a broker can be reached.
    package typealias Node = NodeEndpoint
}
