/// A text with the fields of a row filled in, such as `{Country}:{StockCode}`.
///
/// A name in braces stands for the column of that name; `{{` and `}}` are braces themselves. A
/// value: any thread may use it.
package struct FieldTemplate: Hashable, Sendable {
    private enum Part: Hashable {
        case literal([UInt8])
        case column(Int)
    }

    private let parts: [Part]

    /// - Throws: when a brace has no partner, or a column is not in the header.
    package init(_ text: String, header: CSVHeader) throws(ImportOptionError) {
        var parts: [Part] = []
        var literal: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "{") where rest.first == byte,
                UInt8(ascii: "}") where rest.first == byte:
                rest.removeFirst()
                literal.append(byte)
            case UInt8(ascii: "{"):
                guard let end = rest.firstIndex(of: UInt8(ascii: "}")) else {
                    throw .unclosedBrace(in: text)
                }
                let name = String(decoding: rest[..<end], as: UTF8.self)
                rest = rest[(end + 1)...]
                if !literal.isEmpty {
                    parts.append(.literal(literal))
                    literal = []
                }
                parts.append(.column(try header.index(of: name, in: text)))
            case UInt8(ascii: "}"):
                throw .strayClosingBrace(in: text)
            default:
                literal.append(byte)
            }
        }
        if !literal.isEmpty {
            parts.append(.literal(literal))
        }
        self.parts = parts
    }

    /// Appends the text for the reader's current row to `output`.
    package func render(_ row: borrowing CSVReader, into output: inout [UInt8]) {
        for part in parts {
            switch part {
            case .literal(let bytes):
                output.append(contentsOf: bytes)
            case .column(let index):
                output.append(contentsOf: row.buffer[row.fields[index]])
            }
        }
    }
}
