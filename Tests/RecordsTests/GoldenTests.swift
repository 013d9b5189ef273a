import TallyRecords
import TallyTestSupport
import Testing

/// What a real Kafka broker wrote, against what its own tools and a real client read.
@Suite("golden partitions")
struct GoldenTests {
    @Test("every batch has the fields that Kafka's log dump reports", arguments: Golden.topics)
    func headers(topic: String) throws {
        let batches = try Golden.batches(of: topic)
        let expected = try Golden.expectedBatches(of: topic)
        #expect(batches.count == expected.count)
        for (found, expected) in zip(batches, expected) {
            #expect(found.file == expected.file)
            #expect(found.position == expected.position)
            let batch = try RecordBatch(found.bytes.span.bytes)
            try batch.verifyChecksum()
            compare(batch.header, expected)
        }
    }

    private func compare(_ header: RecordBatchHeader, _ expected: Golden.Batch) {
        #expect(header.sizeInBytes == expected.size)
        #expect(header.baseOffset == Offset(expected.baseOffset))
        #expect(header.lastOffset == Offset(expected.lastOffset))
        #expect(header.nextOffset == Offset(expected.lastOffset + 1))
        #expect(header.recordCount == expected.count)
        #expect(header.baseSequence == expected.baseSequence)
        #expect(header.lastSequence == expected.lastSequence)
        #expect(header.producerID == expected.producerId)
        #expect(header.producerEpoch == expected.producerEpoch)
        #expect(header.partitionLeaderEpoch == LeaderEpoch(expected.partitionLeaderEpoch))
        #expect(header.attributes.isTransactional == expected.isTransactional)
        #expect(header.attributes.isControl == expected.isControl)
        let horizon = header.deleteHorizon.map { "OptionalLong[\($0)]" } ?? "OptionalLong.empty"
        #expect(horizon == expected.deleteHorizonMs)
        let isAppendTime = header.attributes.timestampType == .logAppendTime
        #expect(isAppendTime == (expected.logAppendTime != nil))
        #expect(header.maxTimestamp.rawValue == expected.logAppendTime ?? expected.createTime)
        #expect(header.magic == expected.magic)
        #expect(header.codec.description == expected.compresscodec)
        #expect(header.checksum == expected.crc)
    }

    @Test(
        "every record is what a real client read",
        arguments: Golden.readable)
    func records(topic: String) throws {
        let expected = try Golden.expectedRecords(of: topic)
        var decoder = RecordDecoder()
        var records: [PlainRecord] = []
        var timestampTypes: [String] = []
        for found in try Golden.batches(of: topic) {
            let batch = try RecordBatch(found.bytes.span.bytes)
            try decoder.validateRecords(of: batch)
            guard !batch.header.attributes.isControl else { continue }
            let type = batch.header.attributes.timestampType.description
            try decoder.forEachRecord(in: batch) { record in
                records.append(try PlainRecord(record))
                timestampTypes.append(type)
            }
        }
        #expect(records.count == expected.count)
        #expect(records == expected.map(\.plain))
        #expect(timestampTypes == expected.map(\.timestampType))
    }

    @Test(
        "records of a codec that the build lacks are an error that names codec and trait",
        arguments: Codec.missing)
    func missing(codec: Codec) throws {
        for found in try Golden.batches(of: "golden-\(codec)") {
            let error = #expect(throws: RecordError.self) { try decodeRecords(found.bytes) }
            #expect(error?.kind == .codecNotSupported(codec))
            let trait = try #require(codec.trait)
            #expect(trait.lowercased() == "\(codec)")
            #expect(
                error?.description
                    == "codec not supported: \(codec); build with the package trait \(trait)")
            #expect(error?.isCorruption == false)
        }
    }

    @Test("control records are the ends of the transactions that the client saw")
    func controlRecords() throws {
        var decoder = RecordDecoder()
        var found: [ControlRecord.Kind] = []
        for golden in try Golden.batches(of: "golden-transactions") {
            let batch = try RecordBatch(golden.bytes.span.bytes)
            guard batch.header.attributes.isControl else { continue }
            try decoder.forEachRecord(in: batch) { view in
                let record = try ControlRecord(decoding: view)
                found.append(record.kind)
                let header = batch.header
                let ours = try ControlRecord.encodeBatch(
                    didCommit: record.kind == .commit,
                    coordinatorEpoch: record.coordinatorEpoch, producerID: header.producerID,
                    producerEpoch: header.producerEpoch, timestamp: view.timestamp,
                    baseOffset: header.baseOffset, leaderEpoch: header.partitionLeaderEpoch)
                #expect(ours == golden.bytes)
            }
        }
        #expect(found.count == 6)
        #expect(Set(found) == [.commit, .abort])
    }
}
