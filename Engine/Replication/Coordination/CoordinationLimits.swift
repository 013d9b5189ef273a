/// How much a coordination store takes. All are such that an etcd with its own defaults takes it.
public enum CoordinationLimits {
    /// Operations of a transaction, and conditions of one (etcd's `--max-txn-ops`).
    public static let operationsMax = 128
    /// Bytes of a key.
    public static let keyBytesMax = 512
    /// Bytes of a value.
    public static let valueBytesMax = 512 * 1024
    /// Keys and values of a transaction together: below etcd's `--max-request-bytes` of 1.5 MiB,
    /// with room for what stands around them.
    public static let transactionBytesMax = 1024 * 1024
    /// Seconds that a lease may be asked for: the least is one, the most is 30 days.
    public static let leaseSeconds: ClosedRange<Int64> = 1...2_592_000

    /// Errors: `invalidKey`, `keyTooLarge`.
    package static func check(key: String) throws(CoordinationError) {
        guard !key.isEmpty else { throw .invalidKey(key) }
        try check(prefix: key)
    }

    /// As of a key, but a prefix may be empty. Visible ASCII alone, so that texts that are equal
    /// to Swift are the same bytes, and the order of texts is that of the bytes.
    ///
    /// Errors: `invalidKey`, `keyTooLarge`.
    package static func check(prefix: String) throws(CoordinationError) {
        let count = prefix.utf8.count
        guard count <= keyBytesMax else {
            throw .keyTooLarge(key: prefix, byteCount: count, limit: keyBytesMax)
        }
        guard prefix.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .invalidKey(prefix)
        }
    }

    /// Errors: `leaseTimeOutOfRange`.
    package static func check(leaseSeconds seconds: Int64) throws(CoordinationError) {
        guard leaseSeconds.contains(seconds) else {
            throw .leaseTimeOutOfRange(seconds: seconds, allowed: leaseSeconds)
        }
    }
}
