/// Commits or aborts a transaction.
package struct EndTransactionRequest: WireRequest {
    /// What answers it.
    package typealias Response = EndTransactionResponse
    /// Its API.
    package static let api = APIKey.endTransaction
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// The transactional id.
    package var transactionalID = ""
    /// The producer id.
    package var producerID: Int64 = 0
    /// The epoch of the producer.
    package var producerEpoch: Int16 = 0
    /// Whether the transaction is committed; it is aborted otherwise.
    package var isCommit = false
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("transactionalID", &transactionalID)
        try coder.int64("producerID", &producerID)
        try coder.int16("producerEpoch", &producerEpoch)
        try coder.bool("isCommit", &isCommit)
        try coder.tags(&unknownTags)
    }
}

/// Whether the transaction has been decided.
package struct EndTransactionResponse: WireResponse {
    /// What it answers.
    package typealias Request = EndTransactionRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// The producer id for the next transaction, or -1 (version 5 and up; dropped in others).
    package var producerID: Int64 = -1
    /// The epoch for the next transaction, or -1 (version 5 and up; dropped in others).
    package var producerEpoch: Int16 = -1
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.int64("producerID", &producerID, from: 5, isIgnorable: true)
        try coder.int16("producerEpoch", &producerEpoch, from: 5, isIgnorable: true)
        try coder.tags(&unknownTags)
    }
}
