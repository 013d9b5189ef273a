/// Writes the value of a record: big-endian numbers, texts and lists with their count before them.
struct ClusterRecordWriter {
    private(set) var bytes: [UInt8] = []

    /// Begins with the version.
    init(version: UInt8) { bytes.append(version) }

    mutating func write(_ value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// At most 65,535 bytes of it: what is longer is cut at a character.
    mutating func write(_ text: String) {
        var text = Substring(text)
        while text.utf8.count > UInt16.max { text.removeLast() }
        write(UInt16(text.utf8.count))
        bytes += Array(text.utf8)
    }

    /// A flag, and the text where there is one.
    mutating func write(_ text: String?) {
        write(UInt8(text == nil ? 0 : 1))
        if let text { write(text) }
    }

    /// At most 255 of them.
    mutating func write(_ members: [ReplicaID]) {
        let members = members.prefix(Int(UInt8.max))
        write(UInt8(members.count))
        for member in members { write(member.rawValue) }
    }
}

/// Reads the value of a record. Whatever the bytes are, each call gives a value or throws.
struct ClusterRecordReader {
    private let record: String
    private let bytes: [UInt8]
    private var position = 0

    /// Reads the version. Error: `newerVersion`, `malformed`.
    init(
        _ bytes: [UInt8], of record: String, newest: UInt8
    ) throws(ClusterRecordError) {
        self.record = record
        self.bytes = bytes
        let version = try integer(UInt8.self)
        guard version > 0 else { throw fault("version 0") }
        guard version <= newest else {
            throw .newerVersion(record: record, version: version, newest: newest)
        }
    }

    mutating func integer<Value: FixedWidthInteger>(
        _ type: Value.Type
    ) throws(ClusterRecordError) -> Value {
        let count = Value.bitWidth / 8
        guard bytes.count - position >= count else { throw fault("it ends too early") }
        var value: Value = 0
        for byte in bytes[position..<position + count] {
            // A number of one byte cannot be shifted by eight bits.
            value = (count == 1 ? 0 : value << 8) | Value(truncatingIfNeeded: byte)
        }
        position += count
        return value
    }

    /// A number that is 0 or more, or -1 where that is allowed.
    mutating func number(
        _ name: String, orNone: Bool = false
    ) throws(ClusterRecordError) -> Int32 {
        let value = try integer(Int32.self)
        guard value >= (orNone ? -1 : 0) else { throw fault("\(name) is \(value)") }
        return value
    }

    mutating func text() throws(ClusterRecordError) -> String {
        let count = Int(try integer(UInt16.self))
        guard bytes.count - position >= count else { throw fault("a text ends too early") }
        guard let text = String(validating: bytes[position..<position + count], as: UTF8.self)
        else { throw fault("a text is no UTF-8") }
        position += count
        return text
    }

    mutating func optionalText() throws(ClusterRecordError) -> String? {
        try flag() ? try text() : nil
    }

    mutating func flag() throws(ClusterRecordError) -> Bool {
        let byte = try integer(UInt8.self)
        guard byte <= 1 else { throw fault("a flag is \(byte)") }
        return byte == 1
    }

    /// Ids of members, none of them twice.
    mutating func members(_ name: String) throws(ClusterRecordError) -> [ReplicaID] {
        let count = try integer(UInt8.self)
        var members: [ReplicaID] = []
        for _ in 0..<count {
            let member = ReplicaID(try number(name))
            guard !members.contains(member) else { throw fault("\(name) has \(member) twice") }
            members.append(member)
        }
        return members
    }

    /// Error: `malformed`, where anything is left.
    func finish() throws(ClusterRecordError) {
        guard position == bytes.count else {
            throw fault("\(bytes.count - position) bytes are left")
        }
    }

    func fault(_ reason: String) -> ClusterRecordError {
        .malformed(record: record, position: position, reason: reason)
    }
}
