import TallyRecords

/// An entry of a `.txnindex` file: an aborted transaction, 34 bytes, big-endian.
///
/// ```
/// version int16 | producer id int64 | first offset int64 | last offset int64 |
/// last stable offset int64
/// ```
struct TransactionIndexEntry: Hashable {
    static let byteCount = 34
    static let currentVersion: Int16 = 0
    /// Larger files are not believed: nearly two million aborted transactions in a segment.
    static let fileByteCountMax = 64 << 20

    var version: Int16
    var transaction: AbortedTransaction

    /// Reads the entry that starts at `position`; the caller has checked that it is whole.
    init(decoding bytes: RawSpan, at position: Int) {
        version = bytes.bigEndian(at: position, as: Int16.self)
        transaction = AbortedTransaction(
            producerID: bytes.bigEndian(at: position + 2, as: Int64.self),
            firstOffset: Offset(bytes.bigEndian(at: position + 10, as: Int64.self)),
            lastOffset: Offset(bytes.bigEndian(at: position + 18, as: Int64.self)),
            lastStableOffset: Offset(bytes.bigEndian(at: position + 26, as: Int64.self)))
    }

    /// The bytes of entries, one behind the other.
    static func encode(_ transactions: ArraySlice<AbortedTransaction>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(transactions.count * byteCount)
        for transaction in transactions {
            bytes.append(bigEndian: currentVersion)
            bytes.append(bigEndian: transaction.producerID)
            bytes.append(bigEndian: transaction.firstOffset.rawValue)
            bytes.append(bigEndian: transaction.lastOffset.rawValue)
            bytes.append(bigEndian: transaction.lastStableOffset.rawValue)
        }
        return bytes
    }
}
