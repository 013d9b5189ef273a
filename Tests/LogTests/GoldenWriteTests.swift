import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Written as Kafka writes", .verifiesLogs)
struct GoldenWriteTests {
    @Test(
        "the same batches give the same files, byte for byte, in the same segments",
        arguments: Golden.appended, [ReadMode.mapped, .copied])
    func sameFiles(golden: Golden, readMode: ReadMode) throws {
        let files = SimulatedFileSystem(directories: ["/data", "/data/t-0"])
        let harness = LogHarness(files: files, configuration: golden.configuration)
        let log = try harness.open(readMode: readMode)
        for (header, batch) in try golden.batches() {
            let result = try append(batch, header, to: log)
            #expect(result.baseOffset == header.baseOffset)
            #expect(result.nextOffset == header.nextOffset)
        }
        _ = try log.close()
        let expected = try golden.contents()
        let written = try contents(of: LogHarness.directory, on: files)
        let endings = SegmentName.Ending.allCases.map(\.rawValue)
        for name in Set(expected.keys).union(written.keys).sorted() {
            guard endings.contains(where: { name.hasSuffix($0) }) else { continue }
            #expect(written[name] == expected[name], "\(name)")
        }
        #expect(written[LeaderEpochs.fileName] == expected[LeaderEpochs.fileName])
    }

    /// Appends a golden batch: a marker as a coordinator has it written, the others as they are.
    private func append(
        _ batch: [UInt8], _ header: RecordBatchHeader, to log: PartitionLog
    ) throws -> AppendResult {
        if header.attributes.isControl {
            var decoder = RecordDecoder()
            let control = try #require(
                try decoder.controlRecord(of: try RecordBatch(batch.span.bytes)))
            return try log.append(
                TransactionMarker(
                    didCommit: control.kind == .commit, producerID: header.producerID,
                    producerEpoch: header.producerEpoch,
                    coordinatorEpoch: control.coordinatorEpoch), now: header.maxTimestamp)
        }
        var bytes = batch
        // What the log assigns must come from the log.
        bytes.replaceSubrange(0..<8, with: repeatElement(0x7F, count: 8))
        bytes.replaceSubrange(12..<16, with: repeatElement(0xFF, count: 4))
        var span = bytes.mutableSpan
        var whole = span.mutableBytes
        return try log.append(
            &whole, from: header.attributes.timestampType == .createTime ? .outside : .ownEncoder,
            now: Timestamp(milliseconds: 0))
    }

    @Test("all records of a batch get the time of the append where the topic says so")
    func logAppendTime() throws {
        let golden = try #require(Golden.all.first { $0.topic == "golden-append-time" })
        let files = SimulatedFileSystem(directories: ["/data", "/data/t-0"])
        var harness = LogHarness(files: files, configuration: golden.configuration)
        harness.configuration.timestampType = .logAppendTime
        let log = try harness.open()
        for (header, batch) in try golden.batches() {
            var bytes = batch
            // Undo what the broker did: create time, an older largest timestamp.
            bytes[22] &= ~0x08
            bytes.replaceSubrange(35..<43, with: repeatElement(0, count: 8))
            var span = bytes.mutableSpan
            var whole = span.mutableBytes
            let result = try log.append(&whole, from: .ownEncoder, now: header.maxTimestamp)
            #expect(result.logAppendTime == header.maxTimestamp)
        }
        _ = try log.close()
        let expected = try golden.contents()
        let written = try contents(of: LogHarness.directory, on: files)
        for ending in [SegmentName.Ending.log, .offsetIndex, .timeIndex] {
            let name = SegmentName.file(.zero, ending)
            #expect(written[name] == expected[name], "\(name)")
        }
    }

    @Test("partition.metadata is read and written as it stands", arguments: Golden.all)
    func metadata(golden: Golden) throws {
        let files = SimulatedFileSystem(directories: ["/data"])
        try golden.copy(to: LogHarness.directory, on: files)
        let id = try #require(
            try PartitionMetadata.read(from: LogHarness.directory, on: files))
        try files.createDirectory("/data/copy")
        try PartitionMetadata.write(id, to: "/data/copy", on: files)
        let expected = try golden.contents()[PartitionMetadata.fileName]
        #expect(try contents(of: "/data/copy", on: files)[PartitionMetadata.fileName] == expected)
        #expect(TopicID(id.description) == id)
    }
}
