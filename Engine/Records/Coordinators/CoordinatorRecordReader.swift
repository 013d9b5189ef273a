/// Reads keys and values of the internal topics, in Kafka's plain encoding or its flexible one
/// (lengths as variable-length numbers plus one, tagged fields). Any bytes give a value or an
/// error.
package struct CoordinatorRecordReader {
    let bytes: [UInt8]
    package private(set) var position = 0
    /// Whether lengths are written the flexible way, and tagged fields follow.
    package var isFlexible = false

    /// A reader at the beginning of the bytes.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    private func require(_ byteCount: Int) throws(CoordinatorRecordError) {
        let left = bytes.count - position
        guard byteCount <= left else {
            throw .truncated(position: bytes.count, needed: byteCount - left)
        }
    }

    /// A big-endian integer.
    package mutating func integer<Integer: FixedWidthInteger>(
        _ type: Integer.Type = Integer.self
    ) throws(CoordinatorRecordError) -> Integer {
        let byteCount = Integer.bitWidth / 8
        try require(byteCount)
        var value: UInt64 = 0
        for byte in bytes[position..<position + byteCount] { value = value << 8 | UInt64(byte) }
        position += byteCount
        return Integer(truncatingIfNeeded: value)
    }

    /// A variable-length number without a sign, of 32 bits.
    package mutating func varint() throws(CoordinatorRecordError) -> UInt32 {
        let start = position
        var value: UInt32 = 0
        for shift in stride(from: 0, to: 35, by: 7) {
            try require(1)
            let byte = bytes[position]
            guard shift < 28 || byte < 16 else { throw .badVarint(position: start) }
            position += 1
            value |= UInt32(byte & 0x7f) << UInt32(shift)
            if byte < 0x80 { return value }
        }
        throw .badVarint(position: start)
    }

    /// A length or count; nil for null.
    private mutating func length(
        isText: Bool
    ) throws(CoordinatorRecordError) -> Int? {
        let start = position
        let count: Int
        if isFlexible {
            count = Int(try varint()) - 1
        } else {
            count = isText ? Int(try integer(Int16.self)) : Int(try integer(Int32.self))
        }
        if count == -1 { return nil }
        guard count >= 0 else { throw .badCount(position: start, count: count) }
        return count
    }

    /// A string of bytes; nil for null.
    package mutating func nullableBytes() throws(CoordinatorRecordError) -> [UInt8]? {
        guard let count = try length(isText: false) else { return nil }
        try require(count)
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    /// A string of bytes, which must not be null.
    package mutating func byteString() throws(CoordinatorRecordError) -> [UInt8] {
        let start = position
        guard let value = try nullableBytes() else { throw .badCount(position: start, count: -1) }
        return value
    }

    /// A text; nil for null.
    package mutating func nullableText() throws(CoordinatorRecordError) -> String? {
        let start = position
        guard let count = try length(isText: true) else { return nil }
        try require(count)
        guard let text = String(validating: bytes[position..<position + count], as: UTF8.self)
        else { throw .notText(position: start) }
        position += count
        return text
    }

    /// A text, which must not be null.
    package mutating func text() throws(CoordinatorRecordError) -> String {
        let start = position
        guard let text = try nullableText() else { throw .badCount(position: start, count: -1) }
        return text
    }

    /// An array; nil for null.
    package mutating func nullableArray<Element>(
        _ element: (inout CoordinatorRecordReader) throws(CoordinatorRecordError) -> Element
    ) throws(CoordinatorRecordError) -> [Element]? {
        let start = position
        guard let count = try length(isText: false) else { return nil }
        // No room is made ahead, and none of the elements is empty: the count may be a lie.
        guard count <= bytes.count - position else {
            throw .badCount(position: start, count: count)
        }
        var elements: [Element] = []
        for _ in 0..<count { elements.append(try element(&self)) }
        return elements
    }

    /// An array, which must not be null.
    package mutating func array<Element>(
        _ element: (inout CoordinatorRecordReader) throws(CoordinatorRecordError) -> Element
    ) throws(CoordinatorRecordError) -> [Element] {
        let start = position
        guard let value = try nullableArray(element) else {
            throw .badCount(position: start, count: -1)
        }
        return value
    }

    /// The tagged fields at the end of a structure, where the encoding is flexible; what the
    /// closure does not take is passed over.
    package mutating func taggedFields(
        _ take: (UInt32, inout CoordinatorRecordReader) throws(CoordinatorRecordError) -> Void = {
            (_, _) throws(CoordinatorRecordError) in
        }
    ) throws(CoordinatorRecordError) {
        guard isFlexible else { return }
        for _ in 0..<(try varint()) {
            let tag = try varint()
            let byteCount = Int(try varint())
            try require(byteCount)
            var field = CoordinatorRecordReader(Array(bytes[position..<position + byteCount]))
            field.isFlexible = true
            try take(tag, &field)
            position += byteCount
        }
    }

    /// Throws where bytes are left.
    package func requireEnd() throws(CoordinatorRecordError) {
        guard position == bytes.count else {
            throw .trailingBytes(position: position, count: bytes.count - position)
        }
    }
}
