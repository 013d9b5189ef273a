import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite(.verifiesLogs) struct PartitionLogTests {
    @Test("what was appended is read back, across segments and reopening")
    func roundTrip() throws {
        let files = SimulatedFileSystem()
        try files.createDirectory("/t-0")
        let environment = LogEnvironment(fileSystem: files, openFilesMax: 10)
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 1000
        var checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: .zero)
        for round in 0..<3 {
            let log = try PartitionLog.open(
                "/t-0", environment: environment, configuration: configuration,
                checkpoint: checkpoint)
            #expect(log.logEnd == Offset(Int64(round * 40)))
            var builder = try RecordBatchBuilder(codec: .none)
            for batch in 0..<20 {
                builder.reset()
                for record in 0..<2 {
                    let value = Array("value \(round) \(batch) \(record)".utf8)
                    try builder.append(
                        key: nil, value: value.rawSpan,
                        timestamp: Timestamp(milliseconds: Int64(batch)))
                }
                var bytes = try builder.finishMutable()
                _ = try log.append(
                    &bytes, from: .outside, now: Timestamp(milliseconds: 0))
            }
            #expect(log.highWatermark == Offset(Int64(round * 40)))
            try log.flush()
            #expect(log.highWatermark == log.logEnd)
            var offset = Offset.zero
            var decoder = RecordDecoder()
            var count = 0
            while let slice = try log.read(from: offset, bytesMax: 300) {
                var position = 0
                let bytes = slice.content.all
                while position < bytes.byteCount {
                    let batch = try RecordBatch(bytes, at: position)
                    try batch.verifyChecksum()
                    try decoder.forEachRecord(in: batch) { record in
                        #expect(record.offset == Offset(Int64(count)))
                        count += 1
                    }
                    position += batch.header.sizeInBytes
                }
                offset = slice.nextOffset
            }
            #expect(count == (round + 1) * 40)
            #expect(log.segments.count > 1)
            let end = round == 1 ? log.recoveryPoint : try log.close()
            checkpoint = PartitionCheckpoint(isClean: round != 1, recoveryPoint: end)
            #expect(log.recovery.wasClean == (round != 2))
        }
    }
}
