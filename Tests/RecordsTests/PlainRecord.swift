import TallyRecords

/// A record with everything copied out, to be compared.
struct PlainRecord: Hashable {
    var offset: Int64
    var timestamp: Int64
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [PlainHeader] = []
}

struct PlainHeader: Hashable {
    var key: [UInt8]
    var value: [UInt8]?
}

extension RawSpan {
    /// A copy of the bytes.
    var array: [UInt8] { withUnsafeBytes { Array($0) } }
}

extension PlainRecord {
    init(_ view: borrowing RecordView) throws(RecordError) {
        self.init(
            offset: view.offset.rawValue, timestamp: view.timestamp.rawValue, key: nil, value: nil)
        if let bytes = view.key { key = bytes.array }
        if let bytes = view.value { value = bytes.array }
        var cursor = view.headers
        while let header = try cursor.next() {
            var plain = PlainHeader(key: header.key.array, value: nil)
            if let bytes = header.value { plain.value = bytes.array }
            headers.append(plain)
        }
        precondition(headers.count == view.headerCount)
    }

    var ownedHeaders: [RecordHeader] {
        headers.map {
            RecordHeader(name: String(decoding: $0.key, as: UTF8.self), value: $0.value)
        }
    }
}

/// Every record of a batch, through the cursor.
func decodeRecords(
    _ bytes: [UInt8], decompressedBytesMax: Int = RecordDecoder.defaultDecompressedBytesMax
) throws(RecordError) -> [PlainRecord] {
    var decoder = RecordDecoder(decompressedBytesMax: decompressedBytesMax)
    return try decodeRecords(bytes, by: &decoder)
}

func decodeRecords(
    _ bytes: [UInt8], by decoder: inout RecordDecoder
) throws(RecordError) -> [PlainRecord] {
    let batch = try RecordBatch(bytes.span.bytes)
    var cursor = try decoder.records(of: batch)
    var records: [PlainRecord] = []
    while let record = try cursor.next() { records.append(try PlainRecord(record)) }
    return records
}

/// A batch of these records, whose offsets are left to the builder.
func encode(
    _ records: [PlainRecord], codec: Codec = .none, baseOffset: Int64 = 0,
    producer: BatchProducer = .none
) throws -> [UInt8] {
    var builder = try RecordBatchBuilder(codec: codec)
    for record in records { try builder.append(record) }
    return try builder.finish(baseOffset: Offset(baseOffset), producer: producer).array
}

extension RecordBatchBuilder {
    mutating func append(_ record: PlainRecord) throws(RecordError) {
        let headers = record.ownedHeaders
        let timestamp = Timestamp(rawValue: record.timestamp)
        switch (record.key, record.value) {
        case (nil, nil):
            try append(key: nil, value: nil, timestamp: timestamp, headers: headers)
        case (nil, let value?):
            try append(
                key: nil, value: value.span.bytes, timestamp: timestamp, headers: headers)
        case (let key?, nil):
            try append(key: key.span.bytes, value: nil, timestamp: timestamp, headers: headers)
        case (let key?, let value?):
            try append(
                key: key.span.bytes, value: value.span.bytes, timestamp: timestamp,
                headers: headers)
        }
    }
}

/// Writes an integer big-endian over a batch's bytes.
func overwrite<Integer: FixedWidthInteger>(
    _ bytes: inout [UInt8], at position: Int, _ value: Integer
) {
    var shift = Integer.bitWidth
    for index in 0..<shift / 8 {
        shift -= 8
        bytes[position + index] = UInt8(truncatingIfNeeded: value >> Integer(shift))
    }
}

/// Makes length and checksum of a changed batch right again, so that the change is reached.
func reseal(_ bytes: inout [UInt8]) {
    overwrite(&bytes, at: 8, Int32(bytes.count - 12))
    overwrite(&bytes, at: 17, Checksum.crc32c(bytes.span.bytes.extracting(21..<bytes.count)))
}
