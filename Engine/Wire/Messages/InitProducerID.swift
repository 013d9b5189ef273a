/// Asks for a producer id; with a transactional id, for the next epoch of its producer.
package struct InitProducerIDRequest: WireRequest {
    /// What answers it.
    package typealias Response = InitProducerIDResponse
    /// Its API.
    package static let api = APIKey.initProducerID
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...5
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 2

    /// The transactional id, or null for an idempotent producer.
    package var transactionalID: String? = ""
    /// After how long an open transaction is aborted.
    package var transactionTimeoutMilliseconds: Int32 = 0
    /// The producer id (version 3 and up).
    package var producerID: Int64 = -1
    /// The epoch of the producer (version 3 and up).
    package var producerEpoch: Int16 = -1
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.nullableString("transactionalID", &transactionalID)
        try coder.int32("transactionTimeoutMilliseconds", &transactionTimeoutMilliseconds)
        try coder.int64("producerID", &producerID, from: 3, otherwise: -1)
        try coder.int16("producerEpoch", &producerEpoch, from: 3, otherwise: -1)
        try coder.tags(&unknownTags)
    }
}

/// The producer id and its epoch.
package struct InitProducerIDResponse: WireResponse {
    /// What it answers.
    package typealias Request = InitProducerIDRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// The producer id.
    package var producerID: Int64 = -1
    /// The epoch of the producer.
    package var producerEpoch: Int16 = 0
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.int64("producerID", &producerID)
        try coder.int16("producerEpoch", &producerEpoch)
        try coder.tags(&unknownTags)
    }
}
