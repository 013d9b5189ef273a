/// Writes inventory events as JSON, byte by byte into a buffer that the caller reuses:
///
///     {"eventType":"STOCK_ADJUSTED","quantityDelta":-6,"recordedAt":"2010-12-01T08:26:00Z"}
///
/// Texts must be valid UTF-8, as `CSVReader` gives them. A value: any thread may use it.
package struct InventoryEventEncoder: Sendable {
    /// Everything up to the number, which is the same in all events.
    private let beginning: [UInt8]
    /// The texts that every event carries, ready to be appended.
    private let constants: [UInt8]

    /// - Parameters:
    ///   - type: the kind of all events that are written.
    ///   - reason: why they happened, if there is something to say.
    ///   - channel: the sales channel they belong to, if any.
    /// - Throws: for the kinds of events that carry no quantity.
    package init(
        type: InventoryEventType, reason: String? = nil, channel: String? = nil
    ) throws(ImportOptionError) {
        guard let quantityName = type.quantityName else {
            throw .eventTypeWithoutQuantity(type.rawValue)
        }
        beginning = Array("{\"eventType\":\"\(type.rawValue)\",\"\(quantityName)\":".utf8)
        var constants: [UInt8] = []
        if let reason {
            Self.write(name: "reason", text: Array(reason.utf8), into: &constants)
        }
        if let channel {
            Self.write(name: "channel", text: Array(channel.utf8), into: &constants)
        }
        self.constants = constants
    }

    /// Appends one event to `output`.
    ///
    /// - Parameters:
    ///   - recordedAtMilliseconds: when it happened, in milliseconds since 1970, within the years
    ///     0000 to 9999.
    ///   - eventID: what tells this event from every other; nil where events have no ids.
    package func encode(
        quantity: Int64, recordedAtMilliseconds: Int64, eventID: [UInt8]? = nil,
        into output: inout [UInt8]
    ) {
        precondition(
            CivilTime.range.contains(recordedAtMilliseconds), "RFC 3339 has years of four digits")
        output.append(contentsOf: beginning)
        Self.write(quantity, into: &output)
        output.append(contentsOf: Self.recordedAt)
        CivilTime(milliseconds: recordedAtMilliseconds).write(into: &output)
        output.append(UInt8(ascii: "\""))
        if let eventID {
            Self.write(name: "eventId", text: eventID, into: &output)
        }
        output.append(contentsOf: constants)
        output.append(UInt8(ascii: "}"))
    }

    private static let recordedAt = Array(",\"recordedAt\":\"".utf8)

    private static func write(_ number: Int64, into output: inout [UInt8]) {
        if number < 0 {
            output.append(UInt8(ascii: "-"))
        }
        // The magnitude is unsigned: the lowest number has no positive counterpart.
        var rest = number.magnitude
        let start = output.count
        repeat {
            output.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        output[start...].reverse()
    }

    private static func write(name: String, text: [UInt8], into output: inout [UInt8]) {
        output.append(contentsOf: ",\"\(name)\":\"".utf8)
        writeEscaped(text, into: &output)
        output.append(UInt8(ascii: "\""))
    }

    /// Appends a text as the inside of a JSON string.
    static func writeEscaped(_ text: [UInt8], into output: inout [UInt8]) {
        let hexadecimal = Array("0123456789abcdef".utf8)
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case UInt8(ascii: "\n"): output.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): output.append(contentsOf: "\\r".utf8)
            case UInt8(ascii: "\t"): output.append(contentsOf: "\\t".utf8)
            case ..<0x20:
                output.append(contentsOf: "\\u00".utf8)
                output.append(hexadecimal[Int(byte >> 4)])
                output.append(hexadecimal[Int(byte & 15)])
            default: output.append(byte)
            }
        }
    }
}
