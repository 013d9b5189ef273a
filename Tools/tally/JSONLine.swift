/// One JSON object on one line, with its fields in the order they were added.
struct JSONLine {
    private(set) var text = "{"

    /// The finished line.
    var finished: String { text + "}" }

    mutating func add(_ name: String, _ value: String?) {
        add(name, raw: value.map { Self.quoted($0) } ?? "null")
    }

    mutating func add(_ name: String, _ value: some BinaryInteger) {
        add(name, raw: String(value))
    }

    mutating func add(_ name: String, _ value: Double) {
        add(name, raw: value.isFinite ? String(value) : "null")
    }

    mutating func add(_ name: String, _ value: Bool) { add(name, raw: value ? "true" : "false") }

    /// A value that is JSON already.
    mutating func add(_ name: String, raw value: String) {
        if text.count > 1 { text += ", " }
        text += Self.quoted(name) + ": " + value
    }

    /// A JSON string.
    static func quoted(_ string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    text.unicodeScalars.append(scalar)
                }
            }
        }
        return text + "\""
    }
}
