import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Reading what Kafka wrote", .verifiesLogs)
struct GoldenReadTests {
    struct Opened {
        var log: PartitionLog
        var batches: [(header: RecordBatchHeader, bytes: [UInt8])]
        /// Kept for as long as files in it are used.
        var directory: TemporaryDirectory
    }

    private func open(_ golden: Golden, isClean: Bool, _ readMode: ReadMode) throws -> Opened {
        let batches = try golden.batches()
        let directory = try TemporaryDirectory()
        let files = PosixFileSystem()
        let path = directory.path("\(golden.topic)-0")
        try golden.copy(to: path, on: files)
        let harness = LogHarness(
            files: files, directory: path, configuration: golden.configuration)
        let end = try #require(batches.last).header.nextOffset
        let log = try harness.open(
            isClean: isClean, recoveryPoint: isClean ? end : .zero, readMode: readMode,
            report: { event in
                if case .rebuiltIndexes = event { Issue.record("\(event)") }
                if case .cutTail = event { Issue.record("\(event)") }
            })
        #expect(log.logEnd == end)
        #expect(log.logStart == .zero)
        #expect(log.recovery.wasClean == isClean)
        return Opened(log: log, batches: batches, directory: directory)
    }

    @Test(
        "from every offset, mid-batch included, the whole batch and all that follow come back",
        arguments: Golden.all, [true, false])
    func everyOffset(golden: Golden, isClean: Bool) throws {
        for readMode in [ReadMode.mapped, .copied] {
            let opened = try open(golden, isClean: isClean, readMode)
            let log = opened.log
            // Both ends of every batch, what lies beside them, and the middle.
            let offsets = opened.batches.flatMap { header, _ in
                let (first, last) = (header.baseOffset.rawValue, header.lastOffset.rawValue)
                return [first, first + 1, (first + last) / 2, last - 1, last]
            }
            for offset in Set(offsets).sorted() where offset >= 0 && offset < log.logEnd.rawValue {
                let first = try #require(
                    opened.batches.firstIndex { $0.header.lastOffset.rawValue >= offset })
                let slice = try #require(try log.read(from: Offset(offset), bytesMax: 1000))
                let bytes = slice.content.all
                var position = 0
                var index = first
                while position < bytes.byteCount {
                    let batch = try RecordBatch(bytes, at: position)
                    try batch.verifyChecksum()
                    #expect(batch.header == opened.batches[index].header)
                    position += batch.header.sizeInBytes
                    index += 1
                }
                #expect(index > first)
                #expect(slice.nextOffset == opened.batches[index - 1].header.nextOffset)
            }
            #expect(try log.read(from: log.logEnd, bytesMax: 1) == nil)
            #expect(throws: LogError.self) {
                try log.read(from: log.logEnd.advanced(by: 1), bytesMax: 1)
            }
            #expect(throws: LogError.self) { try log.read(from: Offset(-1), bytesMax: 1) }
            let end = try log.close()
            #expect(end == log.logEnd)
        }
    }

    @Test(
        "the first record of any time is found, or its batch where the codec is not read",
        arguments: Golden.all, [true, false])
    func everyTimestamp(golden: Golden, isClean: Bool) throws {
        let opened = try open(golden, isClean: isClean, .mapped)
        var decoder = RecordDecoder()
        var records: [(offset: Offset, timestamp: Timestamp)] = []
        for (header, bytes) in opened.batches {
            let batch = try RecordBatch(bytes.span.bytes)
            if header.codec.isSupported {
                try decoder.forEachRecord(in: batch) { records.append(($0.offset, $0.timestamp)) }
            } else {
                records.append((header.baseOffset, header.maxTimestamp))
            }
        }
        let times = Set(records.map(\.timestamp.rawValue)).sorted()
        for time in times.flatMap({ [$0 - 1, $0, $0 + 1] }) + [-1, 0, .max] {
            let found = try opened.log.offset(forTimestamp: Timestamp(milliseconds: time))
            let expected = records.first { $0.timestamp.rawValue >= time }
            #expect(found?.offset == expected?.offset, "time \(time)")
            #expect(found?.timestamp == expected?.timestamp, "time \(time)")
        }
    }

    @Test("opened clean, read and closed, the directory is what it was", arguments: Golden.all)
    func unchanged(golden: Golden) throws {
        let opened = try open(golden, isClean: true, .mapped)
        for offset in stride(from: 0, to: opened.log.logEnd.rawValue, by: 97) {
            _ = try opened.log.read(from: Offset(offset), bytesMax: 1)
            _ = try opened.log.offset(forTimestamp: Timestamp(milliseconds: offset))
        }
        _ = try opened.log.close()
        let path = opened.directory.path("\(golden.topic)-0")
        #expect(try contents(of: path, on: PosixFileSystem()) == golden.contents())
    }

    @Test("opened unclean, the next batch has a new epoch and all the old ones stay")
    func newEpoch() throws {
        let golden = try #require(Golden.all.first { $0.topic == "golden-lz4" })
        let opened = try open(golden, isClean: false, .mapped)
        let result = try opened.log.append(values: [[1]])
        #expect(result.leaderEpoch == LeaderEpoch(1))
        #expect(result.baseOffset == Offset(5000))
        #expect(opened.log.endOffset(forEpoch: LeaderEpoch(0))?.endOffset == Offset(5000))
        #expect(opened.log.endOffset(forEpoch: LeaderEpoch(1))?.endOffset == Offset(5001))
        _ = try opened.log.close()
        let path = opened.directory.path("golden-lz4-0")
        let epochs = try LeaderEpochs.read(from: path, on: PosixFileSystem())
        #expect(epochs.entries.map(\.startOffset) == [.zero, Offset(5000)])
    }
}
