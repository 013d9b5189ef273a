/// Sets the fields of messages from bytes that nobody vouches for.
///
/// Whatever the bytes are, each call gives a value or throws. Nothing is reserved because a count
/// says so: a count has to fit into the bytes that are left, and elements are made one by one. A
/// frame has a quarter of a million of them at most (a structure of two empty texts and no tags
/// takes three bytes, and some tens of times as much as a value), so limits on memory are limits on
/// frames.
package struct WireReader: WireCoder {
    /// The whole frame; positions count from its start.
    package let bytes: [UInt8]
    /// The next byte to be read.
    package private(set) var position: Int
    /// Where reading has to end: the end of the frame, or of a tagged field in it.
    private var limit: Int
    /// The version of what is being read.
    package private(set) var version: Int16
    /// Whether that version has compact lengths and tagged fields.
    package private(set) var isFlexible: Bool

    /// Elements of all lists so far.
    private var elementCount = 0

    /// Elements for which there is room at once; with more the array grows while it is read.
    private static let elementsReservedMax = 64

    /// A reader from the start of the bytes.
    package init(_ bytes: [UInt8], version: Int16, isFlexible: Bool) {
        self.bytes = bytes
        position = 0
        limit = bytes.count
        self.version = version
        self.isFlexible = isFlexible
    }

    /// Goes on with something else in the same frame: the body behind a header.
    package mutating func goOn(version: Int16, isFlexible: Bool) {
        self.version = version
        self.isFlexible = isFlexible
    }

    private var remaining: Int { limit - position }

    /// Throws where bytes are left.
    package func requireEnd() throws(WireError) {
        guard remaining == 0 else {
            throw WireError(.trailingBytes(remaining), field: "message", position: position)
        }
    }

    /// The bytes that are left.
    package mutating func rest() -> [UInt8] {
        defer { position = limit }
        return Array(bytes[position..<limit])
    }

    private func require(
        _ needed: Int, _ field: String, from start: Int? = nil
    ) throws(WireError) {
        guard needed <= remaining else {
            throw WireError(
                .truncated(needed: needed, available: remaining), field: field,
                position: start ?? position)
        }
    }

    // MARK: Lengths

    /// A number of at most 32 bits, seven in each byte, the low ones first.
    mutating func unsignedVarint(_ field: String) throws(WireError) -> UInt32 {
        let start = position
        var value: UInt32 = 0
        var shift: UInt32 = 0
        while true {
            try require(1, field, from: start)
            let next = UInt32(bytes[position])
            guard shift < 28 || next <= 0x0f else {
                throw WireError(.malformedVarint, field: field, position: start)
            }
            position += 1
            value |= (next & 0x7f) << shift
            if next < 0x80 { return value }
            shift += 7
        }
    }

    /// A length or count, nil for null; `classic` is the type of lengths in versions that are not
    /// flexible.
    private mutating func length<Classic: FixedWidthInteger & SignedInteger>(
        _ field: String, isNullable: Bool, classic: Classic.Type
    ) throws(WireError) -> Int? {
        let start = position
        let length: Int
        if isFlexible {
            length = Int(try unsignedVarint(field)) - 1
        } else {
            var number: Classic = 0
            try integer(field, &number)
            length = Int(number)
        }
        if length >= 0 { return length }
        guard length == -1 else {
            throw WireError(.negativeLength(length), field: field, position: start)
        }
        guard isNullable else {
            throw WireError(.unexpectedNull, field: field, position: start)
        }
        return nil
    }

    // MARK: Fields

    /// Reads an integer.
    package mutating func integer<Value: FixedWidthInteger>(
        _ field: String, _ value: inout Value
    ) throws(WireError) {
        let size = Value.bitWidth / 8
        try require(size, field)
        var number: UInt64 = 0
        for index in position..<position + size { number = number << 8 | UInt64(bytes[index]) }
        position += size
        value = Value(truncatingIfNeeded: number)
    }

    /// Reads a truth value.
    package mutating func truth(_ field: String, _ value: inout Bool) throws(WireError) {
        try require(1, field)
        value = bytes[position] != 0
        position += 1
    }

    /// Reads text.
    package mutating func text(
        _ field: String, _ value: inout String?, isNullable: Bool
    ) throws(WireError) {
        let start = position
        guard let length = try length(field, isNullable: isNullable, classic: Int16.self) else {
            value = nil
            return
        }
        guard length <= Int16.max else {
            throw WireError(.tooLong(length), field: field, position: start)
        }
        try require(length, field, from: start)
        let end = position + length
        guard let text = Self.text(in: bytes, position..<end) else {
            throw WireError(.notText, field: field, position: start)
        }
        position = end
        value = text
    }

    /// The text that bytes are, or nil where they are not UTF-8.
    private static func text(in bytes: [UInt8], _ range: Range<Int>) -> String? {
        guard let text = try? UTF8Span(validating: bytes.span.extracting(range)) else {
            return nil
        }
        return String(copying: text)
    }

    /// Reads text with a length of two bytes.
    package mutating func classicText(
        _ field: String, _ value: inout String?
    ) throws(WireError) {
        let wasFlexible = isFlexible
        isFlexible = false
        try text(field, &value, isNullable: true)
        isFlexible = wasFlexible
    }

    /// Reads bytes: a slice of the frame, not a copy.
    package mutating func blob(
        _ field: String, _ value: inout ArraySlice<UInt8>?, isNullable: Bool
    ) throws(WireError) {
        let start = position
        guard let length = try length(field, isNullable: isNullable, classic: Int32.self) else {
            value = nil
            return
        }
        try require(length, field, from: start)
        value = bytes[position..<position + length]
        position += length
    }

    /// Elements of all lists of a frame together: what a request asks for is held as values, each
    /// many times larger than the byte that it may have come in.
    static let elementsMax = 1 << 18

    /// Nothing that is read has gaps: its bytes are there.
    package mutating func gap(_ field: String, byteCount: Int) throws(WireError) {}

    /// Reads elements.
    package mutating func list<Element>(
        _ field: String, _ value: inout [Element]?, isNullable: Bool, initial: Element,
        code: (inout Self, inout Element) throws(WireError) -> Void
    ) throws(WireError) {
        let start = position
        guard let count = try length(field, isNullable: isNullable, classic: Int32.self) else {
            value = nil
            return
        }
        // No element takes less than a byte.
        guard count <= remaining else {
            throw WireError(
                .countTooLarge(count: count, available: remaining), field: field, position: start)
        }
        elementCount += count
        guard elementCount <= Self.elementsMax else {
            throw WireError(
                .tooManyElements(limit: Self.elementsMax), field: field, position: start)
        }
        var elements: [Element] = []
        elements.reserveCapacity(min(count, Self.elementsReservedMax))
        for _ in 0..<count {
            var element = initial
            try code(&self, &element)
            elements.append(element)
        }
        value = elements
    }

    /// Reads the mark before an optional structure.
    package mutating func presence(_ field: String, _ isPresent: inout Bool) throws(WireError) {
        let start = position
        var mark: Int8 = 0
        try integer(field, &mark)
        guard mark == 1 || mark == -1 else {
            throw WireError(.badPresence(mark), field: field, position: start)
        }
        isPresent = mark == 1
    }

    /// Does nothing: the field keeps its default.
    package mutating func leaveOut(_ field: String, isDefault: Bool) throws(WireError) {}

    /// Reads tagged fields: those known in this version by `code`, others as they are.
    package mutating func tags(
        _ unknown: UnknownTags, known: [KnownTag],
        code: (inout Self, UInt32) throws(WireError) -> Void
    ) throws(WireError) -> UnknownTags {
        var found = UnknownTags()
        guard isFlexible else { return found }
        let count = try unsignedVarint("tags")
        // A tagged field has a tag and a size.
        guard Int(count) <= remaining / 2 else {
            throw WireError(
                .countTooLarge(count: Int(count), available: remaining), field: "tags",
                position: position)
        }
        var previous: UInt32?
        for _ in 0..<count {
            let start = position
            let tag = try unsignedVarint("tags")
            if let previous, tag <= previous {
                throw WireError(
                    .tagOutOfOrder(tag: tag, after: previous), field: "tags", position: start)
            }
            previous = tag
            let size = Int(try unsignedVarint("tags"))
            try require(size, "tags", from: start)
            let end = position + size
            if known.contains(where: { $0.tag == tag && $0.from <= version }) {
                let outerLimit = limit
                limit = end
                try code(&self, tag)
                limit = outerLimit
                guard position == end else {
                    throw WireError(
                        .taggedSizeMismatch(tag: tag, unread: end - position), field: "tags",
                        position: start)
                }
            } else {
                found.fields.append(.init(tag: tag, bytes: Array(bytes[position..<end])))
                position = end
            }
        }
        return found
    }
}
