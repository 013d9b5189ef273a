import TallyRecords
import Testing

@Suite("control records")
struct ControlRecordTests {
    private func decode(key: [UInt8]?, value: [UInt8]?) throws -> ControlRecord {
        let bytes = try encode([PlainRecord(offset: 0, timestamp: 0, key: key, value: value)])
        var decoder = RecordDecoder()
        let batch = try RecordBatch(bytes.span.bytes)
        var cursor = try decoder.records(of: batch)
        return try ControlRecord(decoding: try cursor.next()!)
    }

    @Test("ends of transactions are read, later versions as far as they are known")
    func known() throws {
        let value: [UInt8] = [0, 0, 0, 0, 1, 2]
        #expect(
            try decode(key: [0, 0, 0, 0], value: value) == .init(.abort, coordinatorEpoch: 258))
        #expect(
            try decode(key: [0, 0, 0, 1], value: value) == .init(.commit, coordinatorEpoch: 258))
        #expect(
            try decode(key: [0, 3, 0, 1, 9], value: [0, 5, 0xff, 0xff, 0xff, 0xff, 8])
                == .init(.commit, coordinatorEpoch: -1))
    }

    @Test("other types are kept by their number, whatever their value is")
    func unknown() throws {
        #expect(try decode(key: [0, 0, 0, 2], value: nil).kind == .unknown(type: 2))
        #expect(try decode(key: [0, 0, 0xff, 0xff], value: [1]).kind == .unknown(type: -1))
    }

    @Test("keys and values that are no control record are an error")
    func malformed() {
        let good: [UInt8] = [0, 0, 0, 0, 0, 0]
        let cases: [(key: [UInt8]?, value: [UInt8]?)] = [
            (nil, good), ([], good), ([0, 0, 0], good), ([0xff, 0xff, 0, 1], good),
            ([0, 0, 0, 1], nil), ([0, 0, 0, 1], []), ([0, 0, 0, 0], [0, 0, 0, 0, 0]),
            ([0, 0, 0, 0], [0x80, 0, 0, 0, 0, 0]),
        ]
        for (key, value) in cases {
            let error = #expect(throws: RecordError.self) { try decode(key: key, value: value) }
            #expect(error?.kind == .badControlRecord)
        }
    }

    @Test("a compressed control batch is read like any other")
    func compressed() throws {
        var builder = try RecordBatchBuilder(codec: .lz4)
        let key: [UInt8] = [0, 0, 0, 1]
        let value: [UInt8] = [0, 0, 0, 0, 0, 7]
        try builder.append(
            key: key.span.bytes, value: value.span.bytes, timestamp: Timestamp(milliseconds: 1))
        let bytes = try builder.finish(isTransactional: true, isControl: true).array
        var decoder = RecordDecoder()
        let batch = try RecordBatch(bytes.span.bytes)
        #expect(batch.header.attributes.isControl)
        var cursor = try decoder.records(of: batch)
        let record = try ControlRecord(decoding: try cursor.next()!)
        #expect(record == ControlRecord(.commit, coordinatorEpoch: 7))
    }
}
