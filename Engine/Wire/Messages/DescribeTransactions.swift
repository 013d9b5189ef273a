/// Asks for the state of transactional ids.
package struct DescribeTransactionsRequest: WireRequest {
    /// What answers it.
    package typealias Response = DescribeTransactionsResponse
    /// Its API.
    package static let api = APIKey.describeTransactions
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...0
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// The transactional ids.
    package var transactionalIDs: [String] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.strings("transactionalIDs", &transactionalIDs)
        try coder.tags(&unknownTags)
    }
}

/// The transactions that were asked for.
package struct DescribeTransactionsResponse: WireResponse {
    /// What it answers.
    package typealias Request = DescribeTransactionsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// The transactions.
    package var transactionStates: [Transaction] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.array("transactionStates", &transactionStates)
        try coder.tags(&unknownTags)
    }

    /// A transaction.
    package struct Transaction: WireStruct {
        /// What went wrong, or `none`.
        package var errorCode = ErrorCode.none
        /// The transactional id.
        package var transactionalID = ""
        /// The state of the transaction, in Kafka's words.
        package var transactionState = ""
        /// After how long an open transaction is aborted.
        package var transactionTimeoutMilliseconds: Int32 = 0
        /// When the transaction began, or -1.
        package var transactionStartTimeMilliseconds: Int64 = 0
        /// The producer id.
        package var producerID: Int64 = 0
        /// The epoch of the producer.
        package var producerEpoch: Int16 = 0
        /// The topics.
        package var topics: [Topic] = []
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.errorCode("errorCode", &errorCode)
            try coder.string("transactionalID", &transactionalID)
            try coder.string("transactionState", &transactionState)
            try coder.int32("transactionTimeoutMilliseconds", &transactionTimeoutMilliseconds)
            try coder.int64("transactionStartTimeMilliseconds", &transactionStartTimeMilliseconds)
            try coder.int64("producerID", &producerID)
            try coder.int16("producerEpoch", &producerEpoch)
            try coder.array("topics", &topics)
            try coder.tags(&unknownTags)
        }
    }

    /// A topic.
    package typealias Topic = TopicPartitions
}
