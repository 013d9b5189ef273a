/// Writes what ``CoordinatorRecordReader`` reads.
package struct CoordinatorRecordWriter {
    /// What was written so far.
    package private(set) var bytes: [UInt8] = []
    /// Whether lengths are written the flexible way, and tagged fields follow.
    package var isFlexible = false

    /// Nothing is written yet.
    package init() {}

    /// A big-endian integer.
    package mutating func integer(_ value: some FixedWidthInteger) {
        bytes.append(bigEndian: value)
    }

    /// A variable-length number without a sign.
    package mutating func varint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private mutating func length(_ count: Int, isText: Bool) {
        if isFlexible { return varint(UInt32(clamping: count + 1)) }
        if isText { integer(Int16(clamping: count)) } else { integer(Int32(clamping: count)) }
    }

    /// A string of bytes.
    package mutating func byteString(_ value: [UInt8]) {
        length(value.count, isText: false)
        bytes += value
    }

    /// A text, or null.
    package mutating func text(_ value: String?) throws(CoordinatorRecordError) {
        guard let value else { return length(-1, isText: true) }
        let text = Array(value.utf8)
        guard text.count <= Int(Int16.max) else { throw .textTooLong(byteCount: text.count) }
        length(text.count, isText: true)
        bytes += text
    }

    /// An array.
    package mutating func array<Element>(
        _ elements: [Element],
        _ write: (Element, inout CoordinatorRecordWriter) throws(CoordinatorRecordError) -> Void
    ) throws(CoordinatorRecordError) {
        length(elements.count, isText: false)
        for element in elements { try write(element, &self) }
    }

    /// The tagged fields at the end of a structure, where the encoding is flexible; by rising tag.
    package mutating func taggedFields(_ fields: [(tag: UInt32, bytes: [UInt8])] = []) {
        guard isFlexible else { return }
        varint(UInt32(fields.count))
        for field in fields {
            varint(field.tag)
            varint(UInt32(field.bytes.count))
            bytes += field.bytes
        }
    }
}

/// A record of an internal topic as a coordinator writes and reads it.
package struct CoordinatorRecord: Hashable, Sendable {
    /// What it is about.
    package var key: [UInt8]
    /// What is so; nil where nothing is any more (a tombstone).
    package var value: [UInt8]?

    /// A record.
    package init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}
