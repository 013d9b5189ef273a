/// Why a record is not an inventory event that can be applied. Its text is what the dead-letter
/// table shows.
enum EventFault: Error, Hashable {
    case noKey
    case invalidKey(InventoryKeyFault)
    case noValue
    case notJSON(JSONFault)
    case notAnObject
    case missing(EventField)
    case repeated(EventField)
    case wrongType(EventField)
    case notWhole(EventField)
    case outOfRange(EventField)
    case negative(EventField)
    case tooLong(EventField)
    case hasNulCharacter(EventField)
    case invalidTime
    case unknownEventType(String)
    case unknownDecision(String)
    case stockOverflow
}

/// Why the bytes of a record's key name no warehouse and item.
enum InventoryKeyFault: String, Error, Hashable {
    case noColon = "no colon in it"
    case emptyWarehouse = "no warehouse before the last colon"
    case emptyItem = "no item after the last colon"
    case notText = "not UTF-8"
    case nulCharacter = "a NUL character in it"
    case tooLong = "longer than 1024 bytes"
}

extension EventFault: CustomStringConvertible {
    /// One line for a person.
    var description: String {
        switch self {
        case .noKey: "no key: it must be warehouse:item"
        case .invalidKey(let fault): "the key is not warehouse:item: \(fault.rawValue)"
        case .noValue: "no value"
        case .notJSON(let fault): "not JSON: \(fault)"
        case .notAnObject: "not a JSON object"
        case .missing(let field): "\(field) is missing"
        case .repeated(let field): "\(field) is there twice"
        case .wrongType(let field): "\(field) has the wrong type"
        case .notWhole(let field): "\(field) is not written as a whole number"
        case .outOfRange(let field): "\(field) is out of range"
        case .negative(let field): "\(field) is negative (corrections are STOCK_ADJUSTED)"
        case .tooLong(let field): "\(field) is longer than \(EventField.byteCountMax) bytes"
        case .hasNulCharacter(let field): "\(field) has a NUL character in it"
        case .invalidTime: "recordedAt is not an RFC 3339 time"
        case .unknownEventType(let name): "unknown eventType \(name)"
        case .unknownDecision(let name): "unknown decision \(name)"
        case .stockOverflow: "the resulting stock does not fit in 64 bits"
        }
    }
}
