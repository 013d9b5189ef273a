package import TallyRecords

/// What a record of `__transaction_state` is about. The bytes are Kafka's `TransactionLogKey`; see
/// FORMAT.md.
package enum TransactionLogKey: Hashable, Sendable {
    /// A transactional id (version 0).
    case transactionalID(String)
    /// Something that a newer program wrote: to be passed over.
    case unknown(version: Int16)

    /// Reads a key.
    package init(decoding bytes: [UInt8]) throws(CoordinatorRecordError) {
        var reader = CoordinatorRecordReader(bytes)
        let version: Int16 = try reader.integer()
        guard version == 0 else {
            self = .unknown(version: version)
            return
        }
        self = .transactionalID(try reader.text())
        try reader.requireEnd()
    }

    /// The bytes.
    package func encoded() throws(CoordinatorRecordError) -> [UInt8] {
        var writer = CoordinatorRecordWriter()
        switch self {
        case .transactionalID(let id):
            writer.integer(Int16(0))
            try writer.text(id)
        case .unknown(let version):
            throw .unknownVersion(of: "a key of __transaction_state", version)
        }
        return writer.bytes
    }
}
