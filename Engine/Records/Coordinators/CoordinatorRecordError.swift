/// Bytes that are no record of a coordinator, or a value that has no bytes.
package enum CoordinatorRecordError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end at `position`, `needed` bytes too early.
    case truncated(position: Int, needed: Int)
    /// A length or count that is none, at `position`.
    case badCount(position: Int, count: Int)
    /// The text at `position` is not UTF-8.
    case notText(position: Int)
    /// A variable-length number that does not end, at `position`.
    case badVarint(position: Int)
    /// A version of what is named that this program does not know.
    case unknownVersion(of: String, Int16)
    /// A value that no coordinator writes: the name of the field, and what it is.
    case badValue(field: String, value: Int64)
    /// Bytes are left behind the end, at `position`.
    case trailingBytes(position: Int, count: Int)
    /// A text of more than 32,767 bytes cannot be written.
    case textTooLong(byteCount: Int)

    /// What is wrong and where.
    package var description: String {
        switch self {
        case .truncated(let position, let needed):
            "it ends at byte \(position), \(needed) bytes too early"
        case .badCount(let position, let count):
            "count \(count) at byte \(position) is not possible"
        case .notText(let position):
            "the text at byte \(position) is not UTF-8"
        case .badVarint(let position):
            "the number at byte \(position) does not end"
        case .unknownVersion(let what, let version):
            "\(what) has version \(version), which is not known"
        case .badValue(let field, let value):
            "\(field) is \(value), which no coordinator writes"
        case .trailingBytes(let position, let count):
            "\(count) bytes are left behind byte \(position)"
        case .textTooLong(let byteCount):
            "a text of \(byteCount) bytes does not fit: 32,767 at most"
        }
    }
}
