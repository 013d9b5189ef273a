/// The two names in a record's key `warehouse:item`; the last colon separates them.
struct InventoryKey {
    var warehouse: String
    var item: String

    /// The longest key that is accepted, so that the cache of rows has a bound in bytes too.
    static let byteCountMax = 1024

    /// Reads the names out of a key. Total: any bytes give names or a fault.
    init(decoding bytes: RawSpan) throws(InventoryKeyFault) {
        guard bytes.byteCount <= Self.byteCountMax else { throw .tooLong }
        var colon = bytes.byteCount - 1
        while colon >= 0, bytes.byte(at: colon) != UInt8(ascii: ":") { colon -= 1 }
        guard colon >= 0 else { throw .noColon }
        guard colon > 0 else { throw .emptyWarehouse }
        guard colon + 1 < bytes.byteCount else { throw .emptyItem }
        for offset in 0..<bytes.byteCount where bytes.byte(at: offset) == 0 {
            throw .nulCharacter
        }
        guard let warehouse = bytes.extracting(0..<colon).text(),
            let item = bytes.extracting(colon + 1..<bytes.byteCount).text()
        else { throw .notText }
        self.warehouse = warehouse
        self.item = item
    }
}
