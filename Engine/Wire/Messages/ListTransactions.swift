/// Asks which transactional ids a broker coordinates.
package struct ListTransactionsRequest: WireRequest {
    /// What answers it.
    package typealias Response = ListTransactionsResponse
    /// Its API.
    package static let api = APIKey.listTransactions
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...1
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 0

    /// Only these states; none means all.
    package var stateFilters: [String] = []
    /// Only these producers; none means all.
    package var producerIDFilters: [Int64] = []
    /// Only transactions that have been open for longer; -1 is all (version 1 and up).
    package var durationFilterMilliseconds: Int64 = -1
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.strings("stateFilters", &stateFilters)
        try coder.integers("producerIDFilters", &producerIDFilters)
        try coder.int64(
            "durationFilterMilliseconds", &durationFilterMilliseconds, from: 1, otherwise: -1)
        try coder.tags(&unknownTags)
    }
}

/// The transactional ids.
package struct ListTransactionsResponse: WireResponse {
    /// What it answers.
    package typealias Request = ListTransactionsRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// Those of the states asked for that do not exist.
    package var unknownStateFilters: [String] = []
    /// The transactions.
    package var transactionStates: [Transaction] = []
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.strings("unknownStateFilters", &unknownStateFilters)
        try coder.array("transactionStates", &transactionStates)
        try coder.tags(&unknownTags)
    }

    /// A transaction.
    package struct Transaction: WireStruct {
        /// The transactional id.
        package var transactionalID = ""
        /// The producer id.
        package var producerID: Int64 = 0
        /// The state of the transaction, in Kafka's words.
        package var transactionState = ""
        /// Tagged fields that have no name here.
        package var unknownTags = UnknownTags()

        /// The structure with each field at its default.
        package init() {}

        /// The fields in the order of the bytes.
        package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
            try coder.string("transactionalID", &transactionalID)
            try coder.int64("producerID", &producerID)
            try coder.string("transactionState", &transactionState)
            try coder.tags(&unknownTags)
        }
    }
}
