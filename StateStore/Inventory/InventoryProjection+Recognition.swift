public import Tally

extension InventoryProjection {
    /// Whether a record is an inventory event, well-formed and of a known kind. Looks at the record
    /// only; any thread.
    public static func isEvent(_ record: borrowing RecordView) -> Bool {
        guard let value = record.value else { return false }
        return (try? InventoryEvent(decoding: value)) != nil
    }
}
