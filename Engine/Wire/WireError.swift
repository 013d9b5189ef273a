/// Bytes that are no message of the Kafka protocol, or a value that a version cannot say.
package struct WireError: Error, Hashable, Sendable {
    /// The innermost field that was being read or written, as the code names it.
    package var field: String
    /// Where the field starts: bytes from the start of the frame.
    package var position: Int
    /// What is wrong.
    package var reason: Reason

    /// An error at a field.
    package init(_ reason: Reason, field: String, position: Int) {
        self.reason = reason
        self.field = field
        self.position = position
    }

    /// What is wrong with bytes, or with a value that is to be written.
    package enum Reason: Hashable, Sendable {
        /// The field needs more bytes than are left.
        case truncated(needed: Int, available: Int)
        /// A count of elements that the bytes left over cannot hold, each being at least one byte.
        case countTooLarge(count: Int, available: Int)
        /// More elements in a frame than are read of one.
        case tooManyElements(limit: Int)
        /// A length or count below zero where it is no mark for null.
        case negativeLength(Int)
        /// Null where this version has no null.
        case unexpectedNull
        /// Text that is not UTF-8.
        case notText
        /// A variable-length integer of more than 32 bits.
        case malformedVarint
        /// The mark before an optional structure is neither -1 nor 1.
        case badPresence(Int8)
        /// A tag that is not larger than the one before it.
        case tagOutOfOrder(tag: UInt32, after: UInt32)
        /// A tagged field that does not take up its size.
        case taggedSizeMismatch(tag: UInt32, unread: Int)
        /// Bytes behind the end of the message.
        case trailingBytes(Int)
        /// A version of an API that this code does not know.
        case unsupportedVersion(api: Int16, version: Int16)
        /// A text of more than 32,767 bytes, or, in writing, more than the format can count.
        case tooLong(Int)

        /// In writing: the field has a value of its own, and the version has no place for it.
        case notInVersion(Int16)
        /// In writing: two tagged fields of a structure have the same tag.
        case tagNotUnique(UInt32)
    }
}

extension WireError: CustomStringConvertible {
    /// What is wrong and where.
    package var description: String {
        "\(field) at byte \(position) of a frame: \(reason.description)"
    }
}

extension WireError.Reason: CustomStringConvertible {
    /// What is wrong.
    package var description: String {
        switch self {
        case .truncated(let needed, let available):
            "needs \(needed) bytes, \(available) are left"
        case .countTooLarge(let count, let available):
            "\(count) elements do not fit into the \(available) bytes that are left"
        case .tooManyElements(let limit): "the frame has more than \(limit) elements"
        case .negativeLength(let length): "length \(length) is not possible"
        case .unexpectedNull: "null is not possible in this version"
        case .notText: "the text is not UTF-8"
        case .malformedVarint: "the variable-length integer has more than 32 bits"
        case .badPresence(let mark): "mark \(mark) says neither null (-1) nor a value (1)"
        case .tagOutOfOrder(let tag, let previous): "tag \(tag) comes after tag \(previous)"
        case .taggedSizeMismatch(let tag, let unread):
            "\(unread) bytes of the field with tag \(tag) are left over"
        case .trailingBytes(let count): "\(count) bytes are left over"
        case .unsupportedVersion(let api, let version):
            "version \(version) of API \(api) is not supported"
        case .tooLong(let length): "length \(length) is more than the format can say"
        case .notInVersion(let version): "has a value, and version \(version) has no such field"
        case .tagNotUnique(let tag): "tag \(tag) is there twice"
        }
    }
}
