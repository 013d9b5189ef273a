public import TallyRecords

extension RecordView {
    /// A copy of the key; nil for a record without one.
    public var keyBytes: [UInt8]? { Self.copy(key) }

    /// A copy of the value; nil for a tombstone.
    public var valueBytes: [UInt8]? { Self.copy(value) }

    /// The key as text: UTF-8, with replacement characters where it is not. Copies.
    public var keyText: String? { keyBytes.map { String(decoding: $0, as: UTF8.self) } }

    /// The value as text: UTF-8, with replacement characters where it is not. Copies.
    public var valueText: String? { valueBytes.map { String(decoding: $0, as: UTF8.self) } }

    static func copy(_ span: RawSpan?) -> [UInt8]? {
        guard let span else { return nil }
        let bytes = Span<UInt8>(_bytes: span)
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.count)
        for index in bytes.indices { copy.append(bytes[index]) }
        return copy
    }
}
