import TallyRecords

/// Builds one line of JSON, an object or an array at a time, in the style of Python's
/// `json.dumps`: `", "` between members and `": "` behind names.
///
/// Reused from line to line, so that printing allocates nothing per record.
struct JSONLine {
    private(set) var bytes: [UInt8] = []
    /// Whether text that is not ASCII is written as `\u` escapes.
    private let isASCIIOnly: Bool
    private var needsSeparator = false

    init(isASCIIOnly: Bool) { self.isASCIIOnly = isASCIIOnly }

    /// Begins a new line.
    mutating func begin() {
        bytes.removeAll(keepingCapacity: true)
        needsSeparator = false
        open("{")
    }

    /// Ends the line.
    mutating func end() {
        close("}")
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func open(_ bracket: Unicode.Scalar) {
        separate()
        bytes.append(UInt8(ascii: bracket))
        needsSeparator = false
    }

    mutating func close(_ bracket: Unicode.Scalar) {
        bytes.append(UInt8(ascii: bracket))
        needsSeparator = true
    }

    /// The name of an object's next member.
    mutating func name(_ name: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: ":"), UInt8(ascii: " ")])
        needsSeparator = false
    }

    mutating func field(_ name: StaticString, _ value: some BinaryInteger) {
        self.name(name)
        literal(String(value))
    }

    mutating func field(_ name: StaticString, _ value: Bool) {
        self.name(name)
        literal(value ? "true" : "false")
    }

    mutating func field(_ name: StaticString, _ value: String) {
        self.name(name)
        string(value)
    }

    /// A part of a whole, from 0 to 1, to four digits.
    mutating func field(_ name: StaticString, share: Double) {
        self.name(name)
        literal(Format.fixed(share, 4))
    }

    /// A number or null.
    mutating func field(_ name: StaticString, orNull value: (some BinaryInteger)?) {
        self.name(name)
        literal(value.map { String($0) } ?? "null")
    }

    mutating func null() { literal("null") }

    private mutating func literal(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsSeparator = true
    }

    private mutating func separate() {
        guard needsSeparator else { return }
        bytes.append(UInt8(ascii: ","))
        bytes.append(UInt8(ascii: " "))
    }

    // MARK: Text

    mutating func string(_ text: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars { append(scalar) }
        bytes.append(UInt8(ascii: "\""))
        needsSeparator = true
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        if scalar.isASCII, scalar.value >= 0x20, scalar != "\"", scalar != "\\" {
            bytes.append(UInt8(scalar.value))
        } else {
            bytes.append(contentsOf: scalar.escaped(asASCII: isASCIIOnly).utf8)
        }
    }

    // MARK: Bytes

    /// Bytes in base64, or null.
    mutating func base64(_ source: RawSpan?) {
        guard let source else { return null() }
        separate()
        bytes.append(UInt8(ascii: "\""))
        var at = 0
        while at < source.byteCount {
            let left = source.byteCount - at
            let first = UInt32(byte(source, at)) << 16
            let second = left > 1 ? UInt32(byte(source, at + 1)) << 8 : 0
            let third = left > 2 ? UInt32(byte(source, at + 2)) : 0
            let bits = first | second | third
            bytes.append(Self.base64Digits[Int(bits >> 18)])
            bytes.append(Self.base64Digits[Int(bits >> 12 & 63)])
            bytes.append(left > 1 ? Self.base64Digits[Int(bits >> 6 & 63)] : UInt8(ascii: "="))
            bytes.append(left > 2 ? Self.base64Digits[Int(bits & 63)] : UInt8(ascii: "="))
            at += 3
        }
        bytes.append(UInt8(ascii: "\""))
        needsSeparator = true
    }

    private func byte(_ source: RawSpan, _ position: Int) -> UInt8 {
        source.bigEndian(at: position, as: UInt8.self)
    }

    private static let base64Digits = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
}

extension Unicode.Scalar {
    /// The character as JSON writes it within quotes.
    ///
    /// - Parameter isASCIIOnly: whether what is not ASCII becomes `\u` escapes.
    func escaped(asASCII isASCIIOnly: Bool) -> String {
        switch self {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\u{8}": return "\\b"
        case "\u{c}": return "\\f"
        default:
            guard value < 0x20 || isASCIIOnly && value >= 0x80 else { return String(self) }
            return String(self).utf16.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }
    }
}

extension RawSpan {
    /// A copy of the bytes.
    var array: [UInt8] {
        var copy: [UInt8] = []
        copy.reserveCapacity(byteCount)
        for position in 0..<byteCount { copy.append(bigEndian(at: position, as: UInt8.self)) }
        return copy
    }

    /// The bytes as text, what is not UTF-8 as U+FFFD; and whether there was such.
    var text: (text: String, isExact: Bool) {
        let bytes = array
        if let exact = String(validating: bytes, as: UTF8.self) { return (exact, true) }
        return (String(decoding: bytes, as: UTF8.self), false)
    }
}
