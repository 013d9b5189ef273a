/// A header to be written with a record.
public struct RecordHeader: Hashable, Sendable {
    /// The name; may be empty, and may occur more than once in a record.
    public var name: String
    /// The value; nil is written as null.
    public var value: [UInt8]?

    /// A header from its name and value.
    public init(name: String, value: [UInt8]?) {
        self.name = name
        self.value = value
    }
}

extension RecordHeader {
    /// The size of `headers` in a record, without their count.
    static func encodedByteCount(of headers: borrowing [RecordHeader]) -> Int {
        var total = 0
        for index in headers.indices {
            let name = headers[index].name.utf8.count
            total += Varint.byteCount(of: Int64(name)) + name
            let value = headers[index].value.map { $0.count }
            total += Varint.byteCount(of: Int64(value ?? -1)) + (value ?? 0)
        }
        return total
    }

    /// Writes the header at `position` and returns the position behind it. There must be room for
    /// it and a longest varint more.
    @unsafe
    func write(to bytes: UnsafeMutableRawPointer, at position: Int) -> Int {
        var name = name
        var at = name.withUTF8 { unsafe Self.write($0, to: bytes, at: position) }
        guard let value else { return unsafe Varint.write(-1, to: bytes, at: at) }
        at = unsafe value.withUnsafeBufferPointer { unsafe Self.write($0, to: bytes, at: at) }
        return at
    }

    @unsafe
    private static func write(
        _ source: UnsafeBufferPointer<UInt8>, to bytes: UnsafeMutableRawPointer, at position: Int
    ) -> Int {
        let start = unsafe Varint.write(Int64(source.count), to: bytes, at: position)
        if let base = source.baseAddress {
            unsafe (bytes + start).copyMemory(from: base, byteCount: source.count)
        }
        return start + source.count
    }
}
