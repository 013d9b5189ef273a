import TallyWire

/// Gives each field that a version has a value that is not its default. What that is follows from
/// how many came before it, so that no two neighbours are the same, and another program can make
/// the same message.
struct FieldFiller: WireCoder {
    let version: Int16
    let isFlexible: Bool
    /// Fields so far.
    private var count = 0
    /// Whether structures get an unknown tagged field too.
    let addsUnknownTags: Bool

    init<Message: WireMessage>(_ type: Message.Type, version: Int16, addsUnknownTags: Bool) {
        self.version = version
        isFlexible = Message.isFlexible(version: version)
        self.addsUnknownTags = addsUnknownTags
    }

    /// A message with all fields of a version set.
    static func filled<Message: WireMessage>(
        _ type: Message.Type, version: Int16, addsUnknownTags: Bool = false
    ) throws -> Message {
        var message = Message()
        var filler = FieldFiller(type, version: version, addsUnknownTags: addsUnknownTags)
        try message.code(&filler)
        return message
    }

    private mutating func next() -> Int {
        defer { count += 1 }
        return count
    }

    /// The second half of a UUID goes with the first.
    private var isSecondHalf = false

    mutating func integer<Value: FixedWidthInteger>(
        _ field: String, _ value: inout Value
    ) throws(WireError) {
        if Value.self == UInt64.self {
            value = Value(isSecondHalf ? count + 1 : next() + 1)
            isSecondHalf.toggle()
            return
        }
        let number = next()
        switch Value.bitWidth {
        case 8: value = Value(number % 100 + 1)
        case 16: value = Value(number % 60 + 1)
        case 32: value = Value(number + 1000)
        default: value = Value(number + 1_000_000)
        }
    }

    mutating func truth(_ field: String, _ value: inout Bool) throws(WireError) {
        _ = next()
        value = true
    }

    mutating func text(
        _ field: String, _ value: inout String?, isNullable: Bool
    ) throws(WireError) {
        value = "s\(next())"
    }

    mutating func classicText(_ field: String, _ value: inout String?) throws(WireError) {
        value = "s\(next())"
    }

    mutating func blob(
        _ field: String, _ value: inout ArraySlice<UInt8>?, isNullable: Bool
    ) throws(WireError) {
        value = [UInt8(truncatingIfNeeded: next()), 1, 2]
    }

    mutating func gap(_ field: String, byteCount: Int) throws(WireError) {}

    mutating func list<Element>(
        _ field: String, _ value: inout [Element]?, isNullable: Bool, initial: Element,
        code: (inout Self, inout Element) throws(WireError) -> Void
    ) throws(WireError) {
        var elements = [initial, initial]
        for index in elements.indices { try code(&self, &elements[index]) }
        value = elements
    }

    mutating func presence(_ field: String, _ isPresent: inout Bool) throws(WireError) {
        isPresent = true
    }

    mutating func leaveOut(_ field: String, isDefault: Bool) throws(WireError) {}

    mutating func tags(
        _ unknown: UnknownTags, known: [KnownTag],
        code: (inout Self, UInt32) throws(WireError) -> Void
    ) throws(WireError) -> UnknownTags {
        guard isFlexible else { return unknown }
        for tag in known where tag.from <= version { try code(&self, tag.tag) }
        guard addsUnknownTags else { return unknown }
        return UnknownTags([
            .init(tag: 100, bytes: []), .init(tag: 300, bytes: [UInt8](repeating: 7, count: 130)),
        ])
    }
}
