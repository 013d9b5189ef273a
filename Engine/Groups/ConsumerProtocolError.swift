/// Bytes that are no subscription or assignment of a consumer, or a value that has none.
public enum ConsumerProtocolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The bytes end at `position`, `needed` bytes too early.
    case truncated(position: Int, needed: Int)
    /// A length or count below zero where there is no null, at `position`.
    case negativeCount(position: Int, count: Int)
    /// The text at `position` is not UTF-8.
    case notText(position: Int)
    /// A version that never was.
    case unknownVersion(Int16)
    /// A text of more than 32,767 bytes cannot be written.
    case textTooLong(byteCount: Int)

    /// What is wrong and where.
    public var description: String {
        switch self {
        case .truncated(let position, let needed):
            "the consumer's bytes end at \(position), \(needed) bytes too early"
        case .negativeCount(let position, let count):
            "count \(count) at byte \(position) of a consumer's bytes is not possible"
        case .notText(let position):
            "the text at byte \(position) of a consumer's bytes is not UTF-8"
        case .unknownVersion(let version):
            "a consumer's bytes have version \(version), which is not known; 0 and up are"
        case .textTooLong(let byteCount):
            "a text of \(byteCount) bytes does not fit into a consumer's bytes: 32,767 at most"
        }
    }
}

/// Reads Kafka's plain (not flexible) encoding: big-endian numbers, texts with two bytes of
/// length, arrays and byte strings with four. Any bytes give a value or an error.
struct ConsumerProtocolReader {
    let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    private mutating func number(_ byteCount: Int) throws(ConsumerProtocolError) -> UInt32 {
        try require(byteCount)
        var value: UInt32 = 0
        for _ in 0..<byteCount {
            value = value << 8 | UInt32(bytes[position])
            position += 1
        }
        return value
    }

    private func require(_ byteCount: Int) throws(ConsumerProtocolError) {
        let left = bytes.count - position
        guard byteCount <= left else {
            throw .truncated(position: bytes.count, needed: byteCount - left)
        }
    }

    mutating func int16() throws(ConsumerProtocolError) -> Int16 {
        Int16(truncatingIfNeeded: try number(2))
    }

    mutating func int32() throws(ConsumerProtocolError) -> Int32 {
        Int32(truncatingIfNeeded: try number(4))
    }

    /// -1 stands for null.
    private mutating func take(_ count: Int) throws(ConsumerProtocolError) -> [UInt8]? {
        if count == -1 { return nil }
        guard count >= 0 else { throw .negativeCount(position: position, count: count) }
        try require(count)
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func nullableBytes() throws(ConsumerProtocolError) -> [UInt8]? {
        try take(Int(try int32()))
    }

    mutating func nullableText() throws(ConsumerProtocolError) -> String? {
        let start = position
        guard let bytes = try take(Int(try int16())) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .notText(position: start)
        }
        return text
    }

    mutating func text() throws(ConsumerProtocolError) -> String {
        let start = position
        guard let text = try nullableText() else {
            throw .negativeCount(position: start, count: -1)
        }
        return text
    }

    mutating func array<Element>(
        _ element: (inout ConsumerProtocolReader) throws(ConsumerProtocolError) -> Element
    ) throws(ConsumerProtocolError) -> [Element] {
        let start = position
        let count = Int(try int32())
        guard count >= 0 else { throw .negativeCount(position: start, count: count) }
        // No room is made ahead: the count may be a lie, and each element has to be there.
        var elements: [Element] = []
        for _ in 0..<count { elements.append(try element(&self)) }
        return elements
    }

    mutating func topicPartitions() throws(ConsumerProtocolError) -> [TopicPartitions] {
        try array { (reader) throws(ConsumerProtocolError) in
            let topic = try reader.text()
            let partitions = try reader.array { (reader) throws(ConsumerProtocolError) in
                try reader.int32()
            }
            return TopicPartitions(topic: topic, partitions: partitions)
        }
    }
}

/// Writes what ``ConsumerProtocolReader`` reads.
struct ConsumerProtocolWriter {
    private(set) var bytes: [UInt8] = []

    mutating func int16(_ value: Int16) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func int32(_ value: Int32) {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func count(_ value: Int) { int32(Int32(clamping: value)) }

    mutating func nullableBytes(_ value: [UInt8]?) {
        guard let value else { return int32(-1) }
        count(value.count)
        bytes += value
    }

    mutating func nullableText(_ value: String?) throws(ConsumerProtocolError) {
        guard let value else { return int16(-1) }
        let text = Array(value.utf8)
        guard let length = Int16(exactly: text.count) else {
            throw .textTooLong(byteCount: text.count)
        }
        int16(length)
        bytes += text
    }

    mutating func topicPartitions(_ value: [TopicPartitions]) throws(ConsumerProtocolError) {
        count(value.count)
        for topic in value {
            try nullableText(topic.topic)
            count(topic.partitions.count)
            for partition in topic.partitions { int32(partition) }
        }
    }
}
