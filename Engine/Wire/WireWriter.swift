/// Appends the bytes of messages.
package struct WireWriter: WireCoder {
    /// What has been written.
    package private(set) var bytes: [UInt8] = []
    /// Where bytes belong that are not written here, in the order of the message: positions in
    /// `bytes`. Their lengths are written.
    package private(set) var gaps: [Int] = []
    /// The version of what is being written.
    package private(set) var version: Int16
    /// Whether that version has compact lengths and tagged fields.
    package private(set) var isFlexible: Bool

    /// A writer of nothing yet.
    package init(version: Int16, isFlexible: Bool) {
        self.version = version
        self.isFlexible = isFlexible
        bytes.reserveCapacity(Self.capacity)
    }

    /// Room for most requests, so that they take one allocation.
    private static let capacity = 256

    /// Goes on with something else in the same frame: the body behind a header.
    package mutating func goOn(version: Int16, isFlexible: Bool) {
        self.version = version
        self.isFlexible = isFlexible
    }

    private func error(_ reason: WireError.Reason, _ field: String) -> WireError {
        WireError(reason, field: field, position: bytes.count)
    }

    // MARK: Lengths

    /// The bytes of a number, seven bits in each, the low ones first.
    static func varintBytes(_ value: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        return bytes
    }

    private mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        for shift in stride(from: Value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private mutating func unsignedVarint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// A length or count, or the mark for null.
    private mutating func length<Classic: FixedWidthInteger & SignedInteger>(
        _ field: String, _ length: Int?, isNullable: Bool, classic: Classic.Type
    ) throws(WireError) {
        guard length != nil || isNullable else { throw error(.unexpectedNull, field) }
        let length = length ?? -1
        // Compact lengths have 32 bits, and Kafka keeps them in 31.
        let most = isFlexible ? Int(Int32.max) - 1 : Int(Classic.max)
        guard length <= most else { throw error(.tooLong(length), field) }
        if isFlexible {
            unsignedVarint(UInt32(length + 1))
        } else {
            append(Classic(length))
        }
    }

    // MARK: Fields

    /// Writes an integer.
    package mutating func integer<Value: FixedWidthInteger>(
        _ field: String, _ value: inout Value
    ) throws(WireError) {
        append(value)
    }

    /// Writes a truth value.
    package mutating func truth(_ field: String, _ value: inout Bool) throws(WireError) {
        bytes.append(value ? 1 : 0)
    }

    /// Writes text. 32,767 bytes are the most that Kafka's own code takes, in any version.
    package mutating func text(
        _ field: String, _ value: inout String?, isNullable: Bool
    ) throws(WireError) {
        let count = value?.utf8.count
        if let count, count > Int16.max { throw error(.tooLong(count), field) }
        try length(field, count, isNullable: isNullable, classic: Int16.self)
        if let value { bytes.append(contentsOf: value.utf8) }
    }

    /// Writes text with a length of two bytes.
    package mutating func classicText(
        _ field: String, _ value: inout String?
    ) throws(WireError) {
        let wasFlexible = isFlexible
        isFlexible = false
        try text(field, &value, isNullable: true)
        isFlexible = wasFlexible
    }

    /// Writes bytes.
    package mutating func blob(
        _ field: String, _ value: inout ArraySlice<UInt8>?, isNullable: Bool
    ) throws(WireError) {
        try length(field, value?.count, isNullable: isNullable, classic: Int32.self)
        if let value { bytes.append(contentsOf: value) }
    }

    /// Writes the length of bytes that somebody else sends, and notes their place.
    package mutating func gap(_ field: String, byteCount: Int) throws(WireError) {
        try length(field, byteCount, isNullable: false, classic: Int32.self)
        gaps.append(bytes.count)
    }

    /// Writes elements. Copies of them, so that the array itself is not copied.
    package mutating func list<Element>(
        _ field: String, _ value: inout [Element]?, isNullable: Bool, initial: Element,
        code: (inout Self, inout Element) throws(WireError) -> Void
    ) throws(WireError) {
        try length(field, value?.count, isNullable: isNullable, classic: Int32.self)
        guard let value else { return }
        for var element in value { try code(&self, &element) }
    }

    /// Writes the mark before an optional structure.
    package mutating func presence(_ field: String, _ isPresent: inout Bool) throws(WireError) {
        bytes.append(isPresent ? 1 : 0xff)
    }

    /// Refuses a value that would get lost.
    package mutating func leaveOut(_ field: String, isDefault: Bool) throws(WireError) {
        guard isDefault else { throw error(.notInVersion(version), field) }
    }

    /// Writes tagged fields, known and unknown, in the order of their tags.
    package mutating func tags(
        _ unknown: UnknownTags, known: [KnownTag],
        code: (inout Self, UInt32) throws(WireError) -> Void
    ) throws(WireError) -> UnknownTags {
        // Most structures have none.
        if unknown.fields.isEmpty, !known.contains(where: \.isSet) {
            if isFlexible { bytes.append(0) }
            return unknown
        }
        for tag in known where tag.isSet && (!isFlexible || tag.from > version) {
            if !tag.isIgnorable { throw error(.notInVersion(version), tag.field) }
        }
        guard isFlexible else {
            guard unknown.fields.isEmpty else { throw error(.notInVersion(version), "tags") }
            return unknown
        }
        var tags = known.filter { $0.isSet && $0.from <= version }
            .map { (tag: $0.tag, bytes: [UInt8]?.none) }
        tags += unknown.fields.map { (tag: $0.tag, bytes: $0.bytes) }
        tags.sort { $0.tag < $1.tag }
        for (tag, next) in zip(tags, tags.dropFirst()) where tag.tag == next.tag {
            throw error(.tagNotUnique(tag.tag), "tags")
        }
        unsignedVarint(UInt32(tags.count))
        for (tag, content) in tags {
            unsignedVarint(tag)
            if let content {
                unsignedVarint(UInt32(content.count))
                bytes.append(contentsOf: content)
            } else {
                // The size stands before the field, and is known after it.
                let start = bytes.count
                try code(&self, tag)
                bytes.insert(contentsOf: Self.varintBytes(UInt32(bytes.count - start)), at: start)
            }
        }
        return unknown
    }
}
