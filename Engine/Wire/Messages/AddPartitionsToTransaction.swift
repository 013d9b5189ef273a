/// Partitions that are to take part in transactions.
package struct AddPartitionsToTransactionRequest: WireRequest {
    /// What answers it.
    package typealias Response = AddPartitionsToTransactionResponse
    /// Its API.
    package static let api = APIKey.addPartitionsToTransaction
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// The transactions (version 4 and up).
    package var transactions: [Transaction] = []
    /// The transactional id (through version 3).
    package var transactionalID = ""
    /// The producer id (through version 3).
    package var producerID: Int64 = 0
    /// The epoch of the producer (through version 3).
    package var producerEpoch: Int16 = 0
    /// The topics (through version 3).
    package var topics: [Topic] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.array("transactions", &transactions, from: 4)
        try coder.string("transactionalID", &transactionalID, through: 3)
        try coder.int64("producerID", &producerID, through: 3)
        try coder.int16("producerEpoch", &producerEpoch, through: 3)
        try coder.array("topics", &topics, through: 3)
        try coder.tags(&unknownTags)
    }

    /// A transaction.
    package struct Transaction: WireStruct {
        /// The transactional id.
        package var transactionalID = ""
        /// The producer id.
        package var producerID: Int64 = 0
        /// The epoch of the producer.
        package var producerEpoch: Int16 = 0
        /// Whether to ask only if the partitions take part already.
        package var verifyOnly = false
        /// The topics.
        package var topics: [Topic] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("transactionalID", &transactionalID)
            try coder.int64("producerID", &producerID)
            try coder.int16("producerEpoch", &producerEpoch)
            try coder.bool("verifyOnly", &verifyOnly)
            try coder.array("topics", &topics)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package typealias Topic = TopicPartitions
}

/// Which of the partitions do.
package struct AddPartitionsToTransactionResponse: WireResponse {
    /// What it answers.
    package typealias Request = AddPartitionsToTransactionRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none` (version 4 and up; dropped in others).
    package var errorCode = ErrorCode.none
    /// The transactions (version 4 and up).
    package var transactionResults: [TransactionResult] = []
    /// The topics (through version 3).
    package var topicResults: [TopicResult] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode, from: 4, isIgnorable: true)
        try coder.array("transactionResults", &transactionResults, from: 4)
        try coder.array("topicResults", &topicResults, through: 3)
        try coder.tags(&unknownTags)
    }

    /// What became of one transaction.
    package struct TransactionResult: WireStruct {
        /// The transactional id.
        package var transactionalID = ""
        /// The topics.
        package var topicResults: [TopicResult] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("transactionalID", &transactionalID)
            try coder.array("topicResults", &topicResults)
            try coder.tags(&unknownTags)
        }
    }

    /// What became of one topic.
    package typealias TopicResult = TopicOf<PartitionResult>

    /// What became of one partition.
    package struct PartitionResult: WireStruct {
        /// The partition.
        package var partitionIndex: Int32 = 0
        /// What went wrong, or `none`.
        package var partitionErrorCode = ErrorCode.none
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.int32("partitionIndex", &partitionIndex)
            try coder.errorCode("partitionErrorCode", &partitionErrorCode)
            try coder.tags(&unknownTags)
        }
    }
}
