/// Why some bytes are not JSON, and where.
struct JSONFault: Error, Hashable, CustomStringConvertible {
    /// What the scanner met.
    enum Reason: String, Hashable {
        case endOfText = "the text ends too early"
        case unexpectedByte = "unexpected byte"
        case controlCharacter = "a control character inside a string"
        case invalidEscape = "an invalid escape"
        case loneSurrogate = "half a surrogate pair"
        case invalidUTF8 = "bytes that are not UTF-8"
        case invalidNumber = "an invalid number"
        case tooDeep = "nesting deeper than 64"
        case trailingBytes = "something after the value"
    }

    var reason: Reason
    /// The byte at which the scanner stopped, counted from 0.
    var position: Int

    var description: String { "\(reason.rawValue) at byte \(position)" }
}
