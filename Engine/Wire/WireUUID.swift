/// A UUID as the protocol has it: the id of a topic or of a directory.
package struct WireUUID: Hashable, Sendable {
    /// The first eight bytes, big-endian.
    package var high: UInt64
    /// The last eight bytes, big-endian.
    package var low: UInt64

    /// A UUID.
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The one that stands for none.
    package static let zero = WireUUID(high: 0, low: 0)
}
