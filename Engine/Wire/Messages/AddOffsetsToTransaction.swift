/// A group whose offsets are to be committed with a transaction.
package struct AddOffsetsToTransactionRequest: WireRequest {
    /// What answers it.
    package typealias Response = AddOffsetsToTransactionResponse
    /// Its API.
    package static let api = APIKey.addOffsetsToTransaction
    /// The versions that are known.
    package static let versions: ClosedRange<Int16> = 0...4
    /// From here on it is flexible.
    package static let firstFlexibleVersion: Int16? = 3

    /// The transactional id.
    package var transactionalID = ""
    /// The producer id.
    package var producerID: Int64 = 0
    /// The epoch of the producer.
    package var producerEpoch: Int16 = 0
    /// The group.
    package var groupID = ""
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The request with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.string("transactionalID", &transactionalID)
        try coder.int64("producerID", &producerID)
        try coder.int16("producerEpoch", &producerEpoch)
        try coder.string("groupID", &groupID)
        try coder.tags(&unknownTags)
    }
}

/// Whether the group takes part.
package struct AddOffsetsToTransactionResponse: WireResponse {
    /// What it answers.
    package typealias Request = AddOffsetsToTransactionRequest

    /// How long the client has been slowed down for its quota.
    package var throttleTimeMilliseconds: Int32 = 0
    /// What went wrong, or `none`.
    package var errorCode = ErrorCode.none
    /// Tagged fields that have no name here.
    package var unknownTags = UnknownTags()

    /// The response with each field at its default.
    package init() {}

    /// The fields in the order of the bytes.
    package mutating func code<Coder: WireCoder>(_ coder: inout Coder) throws(WireError) {
        try coder.int32("throttleTimeMilliseconds", &throttleTimeMilliseconds)
        try coder.errorCode("errorCode", &errorCode)
        try coder.tags(&unknownTags)
    }
}
