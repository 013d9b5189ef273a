/// Record batches, and where the ends of the partitions are.
package struct FetchResponse: WireResponse {
    /// What it answers.
    package typealias Request = FetchRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none` (version 7 and up; dropped in others).
    package var errorCode = ErrorCode.none
    /// The fetch session; 0 is none (version 7 and up).
    package var sessionID: Int32 = 0
    /// The results, one for each that was asked for.
    package var responses: [Topic] = []
    /// Where leaders named in the response can be reached (version 16 and up).
    package var nodeEndpoints: [Node] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode, from: 7, isIgnorable: true)
        try coder.int32("sessionID", &sessionID, from: 7)
        try coder.array("responses", &responses)
        let known = [
            KnownTag(0, "nodeEndpoints", from: 16, isSet: !nodeEndpoints.isEmpty)
        ]
        unknownTags = try coder.tags(unknownTags, known: known) {
            (coder, _) throws(WireError) in
            try coder.array("nodeEndpoints", &nodeEndpoints)
        }
    }

    /// A topic.
    package typealias Topic = FetchTopicOf<Partition>

    /// A partition.
    package struct Partition: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The offset behind the last record that counts as committed.
        package var highWatermark: Int64 = 0
        /// The offset below which each transaction is decided, or -1.
        package var lastStableOffset: Int64 = -1
        /// The first offset of the log, or -1 (version 5 and up; dropped in others).
        package var logStartOffset: Int64 = -1
        /// Where the replica that fetches has to cut off its log (version 12 and up).
        package var divergingEpoch = EpochEnd()
        /// Who leads the partition, where the client had it wrong (version 12 and up).
        package var currentLeader = Leader()
        /// The snapshot that the replica has to fetch instead (version 12 and up).
        package var snapshotID = Snapshot()
        /// The aborted transactions among the records; null where they were not asked for.
        package var abortedTransactions: [AbortedTransaction]? = []
        /// The broker that the consumer should rather read from, or -1 (version 11 and up).
        package var preferredReadReplica: Int32 = -1
        /// Record batches, as they are in the log.
        package var records: ArraySlice<UInt8>?
        /// In place of `records`, in a response that is written: how many bytes of batches are sent
        /// from elsewhere. No field; nil in what was read.
        package var byteCountElsewhere: Int?
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.errorCode("errorCode", &errorCode)
            try coder.int64("highWatermark", &highWatermark)
            try coder.int64("lastStableOffset", &lastStableOffset)
            try coder.int64("logStartOffset", &logStartOffset, from: 5, isIgnorable: true)
            try coder.nullableArray("abortedTransactions", &abortedTransactions)
            try coder.int32("preferredReadReplica", &preferredReadReplica, from: 11, otherwise: -1)
            if let byteCountElsewhere {
                try coder.gap("records", byteCount: byteCountElsewhere)
            } else {
                try coder.records("records", &records)
            }
            let known = [
                KnownTag(0, "divergingEpoch", from: 12, isSet: divergingEpoch != EpochEnd()),
                KnownTag(1, "currentLeader", from: 12, isSet: currentLeader != Leader()),
                KnownTag(2, "snapshotID", from: 12, isSet: snapshotID != Snapshot()),
            ]
            unknownTags = try coder.tags(unknownTags, known: known) {
                (coder, tag) throws(WireError) in
                switch tag {
                case 0: try coder.structure(&divergingEpoch)
                case 1: try coder.structure(&currentLeader)
                default: try coder.structure(&snapshotID)
                }
            }
        }
    }

    /// Where an epoch ends.
    package struct EpochEnd: WireStruct {
        /// The leader epoch.
        package var epoch: Int32 = -1
        /// The offset behind the last record of the epoch, or -1.
        package var endOffset: Int64 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("epoch", &epoch)
            try coder.int64("endOffset", &endOffset)
            try coder.tags(&unknownTags)
        }
    }

    /// The leader of a partition.
    package typealias Leader = CurrentLeader

    /// A snapshot of a partition.
    package struct Snapshot: WireStruct {
        /// The offset behind the last record of the epoch, or -1.
        package var endOffset: Int64 = -1
        /// The leader epoch.
        package var epoch: Int32 = -1
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int64("endOffset", &endOffset)
            try coder.int32("epoch", &epoch)
            try coder.tags(&unknownTags)
        }
    }

    /// An aborted transaction among the records.
    package struct AbortedTransaction: WireStruct {
        /// The producer id.
        package var producerID: Int64 = 0
        /// The first offset of the transaction.
        package var firstOffset: Int64 = 0
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int64("producerID", &producerID)
            try coder.int64("firstOffset", &firstOffset)
            try coder.tags(&unknownTags)
        }
    }

    /// Where a broker can be reached.
    package typealias Node = NodeEndpoint
}
