import Tally

extension InventoryEvent {
    /// Reads an event from a record's value. Total: any bytes give an event or an `EventFault`.
    ///
    /// The value must be one JSON object. A field that is read may appear once; `null` is the same
    /// as leaving it out. `eventId` may be text or a whole number (which counts as its digits); an
    /// empty one is none.
    init(decoding value: RawSpan) throws(EventFault) {
        let fields = try EventFields(scanning: value)
        guard let typeRange = fields.eventType else { throw .missing(.eventType) }
        let type = try Self.type(named: typeRange, in: value)
        guard let recordedAt = fields.recordedAt else { throw .missing(.recordedAt) }
        self.init(type: type, quantity: 0, recordedAt: recordedAt)
        eventId = fields.eventId
        reason = fields.reason
        who = fields.actor ?? fields.operator
        switch type.kind {
        case .movement where type == .stockAdjusted:
            guard let delta = fields.quantityDelta else { throw .missing(.quantityDelta) }
            quantity = delta
        case .movement, .reservation, .reconciliation:
            guard let amount = fields.quantity else { throw .missing(.quantity) }
            guard amount >= 0 else { throw .negative(.quantity) }
            quantity = amount
        case .availability:
            guard let decisionRange = fields.decision else { throw .missing(.decision) }
            guard let channelRange = fields.channel else { throw .missing(.channel) }
            decision = try Self.decision(named: decisionRange, in: value)
            channel = channelRange
        case .audit:
            break
        }
    }

    private static func type(
        named range: TextRange, in value: RawSpan
    ) throws(EventFault) -> InventoryEventType {
        if !range.hasEscapes,
            let name = PackedName(value, start: range.start, end: range.end),
            let type = InventoryEventType.named(name)
        {
            return type
        }
        let name = shortText(range, in: value)
        guard let type = InventoryEventType(rawValue: name) else { throw .unknownEventType(name) }
        return type
    }

    private static func decision(
        named range: TextRange, in value: RawSpan
    ) throws(EventFault) -> AvailabilityDecision {
        let name = shortText(range, in: value)
        guard let decision = AvailabilityDecision(rawValue: name) else {
            throw .unknownDecision(name)
        }
        return decision
    }

    /// A text of the event for a message or a comparison: its first 64 bytes at most, printable.
    private static func shortText(_ range: TextRange, in value: RawSpan) -> String {
        let characters = JSONScanner.characters(of: range, in: value)
        let text = String(decoding: characters.prefix(64), as: UTF8.self)
        return String(text.map { $0.isASCII && ($0 < " " || $0 == "\u{7f}") ? "?" : $0 })
    }
}

/// The fields of an event as they were found, before anybody asks what they mean together.
private struct EventFields {
    var eventType: TextRange?
    var quantity: Int64?
    var quantityDelta: Int64?
    var recordedAt: Timestamp?
    var eventId: TextRange?
    var reason: TextRange?
    var channel: TextRange?
    var decision: TextRange?
    var actor: TextRange?
    var `operator`: TextRange?
    /// The fields met so far, one bit each.
    private var met: UInt32 = 0

    init(scanning value: RawSpan) throws(EventFault) {
        var scanner = JSONScanner(value)
        do {
            scanner.skipWhitespace()
            guard scanner.next == UInt8(ascii: "{") else {
                // Not an object: say which of the two it is, something else or no JSON at all.
                try JSONScanner.validate(value)
                throw EventFault.notAnObject
            }
            scanner.advance()
            try scanMembers(&scanner)
            try scanner.expectEnd()
        } catch let fault as JSONFault {
            throw .notJSON(fault)
        } catch let fault as EventFault {
            // Bytes that are not JSON are that first of all, whatever stands in front of the fault.
            do { try JSONScanner.validate(value) } catch { throw .notJSON(error) }
            throw fault
        } catch {
            throw .notAnObject
        }
    }

    /// Reads the members of the object whose brace was just passed, and its closing brace.
    private mutating func scanMembers(_ scanner: inout JSONScanner) throws {
        scanner.skipWhitespace()
        if scanner.next == UInt8(ascii: "}") { return scanner.advance() }
        while true {
            scanner.skipWhitespace()
            let name = try scanner.scanString()
            try scanner.expect(UInt8(ascii: ":"))
            scanner.skipWhitespace()
            if let field = Self.field(named: name, in: scanner.bytes) {
                try scan(field, &scanner)
            } else {
                try scanner.skipValue()
            }
            scanner.skipWhitespace()
            guard scanner.next == UInt8(ascii: ",") else { break }
            scanner.advance()
        }
        try scanner.expect(UInt8(ascii: "}"))
    }

    private static func field(named range: TextRange, in bytes: RawSpan) -> EventField? {
        guard range.hasEscapes else {
            return PackedName(bytes, start: range.start, end: range.end)
                .flatMap(EventField.named)
        }
        let name = JSONScanner.characters(of: range, in: bytes)
        return PackedName(name.rawSpan, start: 0, end: name.count).flatMap(EventField.named)
    }

    private mutating func scan(_ field: EventField, _ scanner: inout JSONScanner) throws {
        let bit: UInt32 = 1 &<< field.rawValue
        guard met & bit == 0 else { throw EventFault.repeated(field) }
        met |= bit
        if scanner.next == UInt8(ascii: "n") { return try scanner.skipLiteral("null") }
        switch field {
        case .eventType: eventType = try Self.text(field, &scanner)
        case .quantity: quantity = try Self.integer(field, &scanner)
        case .quantityDelta: quantityDelta = try Self.integer(field, &scanner)
        case .recordedAt: recordedAt = try Self.time(&scanner)
        case .eventId: eventId = try Self.identity(&scanner)
        case .reason: reason = try Self.text(field, &scanner)
        case .channel: channel = try Self.boundedText(field, &scanner)
        case .decision: decision = try Self.boundedText(field, &scanner)
        case .actor: actor = try Self.text(field, &scanner)
        case .operator: `operator` = try Self.text(field, &scanner)
        }
    }

    /// A text without NUL, which SQLite's text functions take for its end.
    private static func text(_ field: EventField, _ scanner: inout JSONScanner) throws -> TextRange
    {
        guard scanner.next == UInt8(ascii: "\"") else { throw EventFault.wrongType(field) }
        let range = try scanner.scanString()
        // Without escapes there is none: control characters must be escaped.
        if range.hasEscapes,
            JSONScanner.characters(of: range, in: scanner.bytes).contains(0)
        {
            throw EventFault.hasNulCharacter(field)
        }
        return range
    }

    private static func boundedText(
        _ field: EventField, _ scanner: inout JSONScanner
    ) throws -> TextRange {
        let range = try text(field, &scanner)
        guard range.count <= EventField.byteCountMax else { throw EventFault.tooLong(field) }
        return range
    }

    private static func identity(_ scanner: inout JSONScanner) throws -> TextRange? {
        if scanner.next == UInt8(ascii: "\"") {
            let range = try boundedText(.eventId, &scanner)
            return range.count == 0 ? nil : range
        }
        let start = scanner.position
        _ = try integer(.eventId, &scanner)
        return TextRange(start: start, end: scanner.position, hasEscapes: false)
    }

    private static func integer(
        _ field: EventField, _ scanner: inout JSONScanner
    ) throws -> Int64 {
        guard let byte = scanner.next, byte == UInt8(ascii: "-") || byte &- 0x30 < 10 else {
            throw EventFault.wrongType(field)
        }
        switch try scanner.scanNumber() {
        case .integer(let value): return value
        case .outOfRange: throw EventFault.outOfRange(field)
        case .notWhole: throw EventFault.notWhole(field)
        }
    }

    private static func time(_ scanner: inout JSONScanner) throws -> Timestamp {
        guard scanner.next == UInt8(ascii: "\"") else {
            let milliseconds = try integer(.recordedAt, &scanner)
            guard EventTime.range.contains(milliseconds) else {
                throw EventFault.outOfRange(.recordedAt)
            }
            return Timestamp(milliseconds: milliseconds)
        }
        let range = try scanner.scanString()
        let time: Timestamp?
        if range.hasEscapes {
            let characters = JSONScanner.characters(of: range, in: scanner.bytes)
            time = EventTime.parse(characters.rawSpan)
        } else {
            time = EventTime.parse(scanner.bytes.extracting(range.start..<range.end))
        }
        guard let time else { throw EventFault.invalidTime }
        return time
    }
}
