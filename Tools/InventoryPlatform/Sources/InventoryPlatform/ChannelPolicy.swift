/// How much of an item a sales channel may promise.
///
/// The rule: what is available, less the channel's safety stock, and nothing where the item is
/// hidden there. A safety stock keeps the last pieces for channels that can see them, and makes up
/// for sales that a marketplace reports late. A value.
public struct ChannelPolicy: Hashable, Sendable {
    /// Pieces that each channel leaves alone, by its name. Others are no channels.
    public var safetyStock: [String: Int64]

    /// A policy; the store sells the last piece, the web shop keeps 2 and the marketplace 5.
    public init(safetyStock: [String: Int64] = ["store": 0, "web": 2, "marketplace": 5]) {
        self.safetyStock = safetyStock
    }

    /// The channels, by name.
    public var channels: [String] { safetyStock.keys.sorted() }

    /// How many pieces a channel may promise: 0 or more; nil where there is no such channel.
    public func available(_ item: StockItem, in channel: String) -> Int64? {
        guard let safety = safetyStock[channel] else { return nil }
        guard !item.hiddenChannels.contains(channel) else { return 0 }
        let (rest, overflow) = item.available.subtractingReportingOverflow(safety)
        return overflow ? 0 : max(rest, 0)
    }
}
