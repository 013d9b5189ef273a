import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// A topic whose `compression.type` names another codec than a batch from outside has.
@Suite(.verifiesLogs) struct RecodingTests {
    static let named = Codec.ofThisBuild

    private let values = (0..<40).map { Array("the value of record \($0), and more".utf8) }

    private func open(
        _ codec: Codec?, _ change: (inout LogConfiguration) -> Void = { _ in }
    ) throws -> PartitionLog {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var harness = LogHarness(files: files)
        harness.configuration = LogConfiguration()
        harness.configuration.compression = codec
        change(&harness.configuration)
        return try harness.open()
    }

    private func headers(_ log: PartitionLog) throws -> [RecordBatchHeader] {
        var headers: [RecordBatchHeader] = []
        let slice = try #require(try log.read(from: .zero, bytesMax: 1 << 20, bound: .logEnd))
        var position = 0
        while position < slice.content.all.byteCount {
            let batch = try RecordBatch(slice.content.all, at: position)
            try batch.verifyChecksum()
            headers.append(batch.header)
            position += batch.header.sizeInBytes
        }
        return headers
    }

    @Test("it is stored with the topic's codec, its records as they were", arguments: named, named)
    func stored(named: Codec, sent: Codec) throws {
        let log = try open(named)
        let first = try log.append(values: values, timestamp: 5, codec: sent)
        let second = try log.append(values: [[1]], timestamp: 6, codec: sent)
        #expect(first.baseOffset == .zero && first.nextOffset == Offset(40))
        #expect(second.baseOffset == Offset(40))
        let headers = try headers(log)
        #expect(headers.map(\.codec) == [named, named])
        #expect(headers.map(\.recordCount) == [40, 1])
        #expect(headers.map(\.maxTimestamp.rawValue) == [5, 6])
        try log.flush()
        #expect(try log.values() == values + [[1]])
        _ = try log.close()
    }

    @Test("it stays as it is where the producer chooses, and what our own encoder made always")
    func unchanged() throws {
        for codec in Self.named {
            let choice = try open(nil)
            try choice.append(values: values, codec: codec)
            #expect(try headers(choice).map(\.codec) == [codec])
            _ = try choice.close()
            // The producer took the topic's codec a moment ago; it may just have been changed.
            let own = try open(.lz4)
            try own.append(values: values, codec: codec, origin: .ownEncoder)
            #expect(try headers(own).map(\.codec) == [codec])
            _ = try own.close()
        }
    }

    @Test("producer and sequence stay, and a batch that comes again is known")
    func duplicate() throws {
        let log = try open(.lz4)
        var builder = try RecordBatchBuilder()
        for value in values {
            try builder.append(key: nil, value: value.rawSpan, timestamp: .none)
        }
        let producer = BatchProducer(id: 3, epoch: 0, baseSequence: 0)
        for isDuplicate in [false, true] {
            var bytes = try builder.finishMutable(producer: producer)
            let result = try log.append(&bytes, from: .outside, now: Timestamp(milliseconds: 1))
            #expect(result.isDuplicate == isDuplicate && result.baseOffset == .zero)
        }
        let header = try #require(try headers(log).first)
        #expect(try headers(log).count == 1 && header.codec == .lz4)
        #expect(header.producerID == 3 && header.lastSequence == 39)
        _ = try log.close()
    }

    @Test("the append time is set on it too")
    func appendTime() throws {
        let log = try open(.lz4) { $0.timestampType = .logAppendTime }
        try log.append(values: values, timestamp: 77)
        let header = try #require(try headers(log).first)
        #expect(header.codec == .lz4 && header.attributes.timestampType == .logAppendTime)
        #expect(header.maxTimestamp == Timestamp(milliseconds: 77))
        _ = try log.close()
    }

    @Test("one that would grow too large is refused, and so is one whose records are damaged")
    func refused() throws {
        let log = try open(Codec.none) { $0.batchBytesMax = 1000 }
        let large = [UInt8](repeating: 7, count: 5000)
        let error = #expect(throws: LogError.self) {
            try log.append(values: [large], codec: .lz4)
        }
        guard case .batchTooLarge(let byteCount, 1000, "max.message.bytes") = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(byteCount > 5000)
        var builder = try RecordBatchBuilder(codec: .lz4)
        try builder.append(key: nil, value: large.rawSpan, timestamp: .none)
        let whole = try builder.finish()
        // A frame without its last bytes, with a checksum that is right.
        var bytes = (0..<whole.byteCount - 6).map {
            whole.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
        }
        var header = try RecordBatchHeader(decoding: whole)
        header.sizeInBytes = bytes.count
        bytes.withMutableRawSpan { header.encodeWithChecksum(into: &$0) }
        let damaged = #expect(throws: LogError.self) {
            try bytes.withMutableRawSpan {
                _ = try log.append(&$0, from: .outside, now: Timestamp(milliseconds: 1))
            }
        }
        guard case .invalidBatch(let reason) = damaged else {
            Issue.record("\(String(describing: damaged))")
            return
        }
        #expect(reason.kind == .malformedCompressedData)
        #expect(log.logEnd == .zero && log.stopReason == nil)
        _ = try log.close()
    }

    @Test("a codec that the build lacks is an error that names it", arguments: Codec.missing)
    func missing(codec: Codec) throws {
        let log = try open(codec)
        let error = #expect(throws: LogError.self) { try log.append(values: values) }
        #expect(error.map { "\($0)" }?.contains("codec not supported: \(codec)") == true)
        #expect(log.logEnd == .zero)
        _ = try log.close()
    }
}
