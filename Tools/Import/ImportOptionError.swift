/// Something in what the caller asked for that cannot work with this input, found before the first
/// row is read. The description says what to write instead.
package enum ImportOptionError: Error, Hashable, Sendable {
    case noHeader
    case duplicateColumns(names: [String], columns: [String])
    case unknownColumn(name: String, in: String, columns: [String])
    case unclosedBrace(in: String)
    case strayClosingBrace(in: String)
    case notADelta(String)
    case badTimeFormat(String, problem: String)
    case unknownEventType(String)
    case eventTypeWithoutQuantity(String)
}

extension ImportOptionError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noHeader:
            "the input is empty; its first row must name the columns"
        case .duplicateColumns(let names, let columns):
            "the header names \(Self.list(names)) more than once; its columns are "
                + Self.list(columns)
        case .unknownColumn(let name, let text, let columns):
            "there is no column \"\(name)\", which \"\(text)\" uses; the columns are "
                + Self.list(columns)
        case .unclosedBrace(let text):
            "a { in \"\(text)\" has no }; a brace itself is written {{"
        case .strayClosingBrace(let text):
            "a } in \"\(text)\" has no {; a brace itself is written }}"
        case .notADelta(let text):
            "\"\(text)\" is neither {Column} nor -{Column}"
        case .badTimeFormat(let text, let problem):
            "the time format \"\(text)\" \(problem)"
        case .unknownEventType(let name):
            "there is no event type \"\(name)\"; the event types are "
                + InventoryEventType.allCases.map(\.rawValue).joined(separator: ", ")
        case .eventTypeWithoutQuantity(let name):
            "\(name) events carry no quantity and cannot be made from a table of quantities"
        }
    }

    private static func list(_ names: [String]) -> String {
        names.map { "\"\($0)\"" }.joined(separator: ", ")
    }
}
