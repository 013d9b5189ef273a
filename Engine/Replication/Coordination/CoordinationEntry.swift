/// A key, and what is known of it.
public struct CoordinationEntry: Hashable, Sendable {
    /// The key.
    public var key: String
    /// Its value; may be empty.
    public var value: [UInt8]
    /// The revision that wrote it last: what a compare-and-swap compares. Above 0.
    public var modificationRevision: CoordinationRevision
    /// The lease it goes with, if any.
    public var lease: LeaseID?

    /// An entry.
    public init(
        key: String, value: [UInt8], modificationRevision: CoordinationRevision,
        lease: LeaseID? = nil
    ) {
        self.key = key
        self.value = value
        self.modificationRevision = modificationRevision
        self.lease = lease
    }
}

/// Entries as they were at one revision of the store.
public struct CoordinationSnapshot: Hashable, Sendable {
    /// In the order of their keys.
    public var entries: [CoordinationEntry]
    /// The store's revision then: what to watch after.
    public var revision: CoordinationRevision

    /// A snapshot.
    public init(entries: [CoordinationEntry], revision: CoordinationRevision) {
        self.entries = entries
        self.revision = revision
    }

    /// The entry of a key, or nil. Takes logarithmic time.
    public func entry(of key: String) -> CoordinationEntry? {
        var range = entries.indices
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            if entries[middle].key == key { return entries[middle] }
            range =
                entries[middle].key < key
                ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }
}
