import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Appending", .verifiesLogs)
struct AppendTests {
    private func harness() -> (SimulatedFileSystem, LogHarness) {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        return (files, LogHarness(files: files))
    }

    private func batch(_ values: [[UInt8]], timestamp: Int64 = 0) throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        for value in values {
            try builder.append(
                key: nil, value: value.span.bytes, timestamp: Timestamp(milliseconds: timestamp))
        }
        let bytes = try builder.finish()
        return (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    private func append(_ bytes: [UInt8], to log: PartitionLog) throws -> AppendResult {
        var bytes = bytes
        var span = bytes.mutableSpan
        var whole = span.mutableBytes
        return try log.append(&whole, from: .outside, now: Timestamp(milliseconds: 0))
    }

    @Test("several batches in one append follow each other, in one segment")
    func severalBatches() throws {
        let (files, harness) = harness()
        let log = try harness.open()
        try log.append(values: [Array(repeating: 1, count: 900)])
        let three = try batch([[1], [2]]) + batch([Array(repeating: 3, count: 600)]) + batch([[4]])
        let result = try append(three, to: log)
        #expect(result.baseOffset == Offset(1))
        #expect(result.nextOffset == Offset(5))
        #expect(log.segments.map(\.baseOffset) == [.zero, Offset(1)])
        try log.flush()
        #expect(try log.values(from: Offset(1)).map(\.first) == [1, 2, 3, 4])
        _ = try log.close()
        var check = DirectoryCheck(files, harness.directory, indexIntervalBytes: 200)
        #expect(try check.run().isEmpty)
    }

    @Test("what is no sound batch is refused and nothing is written")
    func refusals() throws {
        let (files, harness) = harness()
        let log = try harness.open()
        let sound = try batch([[1], [2]])
        var generator = SeededGenerator.fromEnvironment()
        var hostile: [[UInt8]] = [
            [], [0], sound.dropLast(), sound + [0], sound + sound.dropLast(30),
            Array(repeating: 0, count: 100), Array(repeating: 0xFF, count: 100),
        ].map { Array($0) }
        for position in 8..<sound.count where !(12..<16).contains(position) {
            var bytes = sound
            bytes[position] ^= UInt8.random(in: 1...255, using: &generator)
            hostile.append(bytes)
        }
        for _ in 0..<300 {
            hostile.append(generator.bytes(Int.random(in: 0..<200, using: &generator)))
        }
        for bytes in hostile {
            #expect(throws: LogError.self) { _ = try append(bytes, to: log) }
        }
        let large = try batch([Array(repeating: 0, count: 2000)])
        do {
            _ = try append(large, to: log)
            Issue.record("a batch larger than a segment was taken")
        } catch LogError.batchTooLarge(_, _, let setting) {
            #expect(setting == "segment.bytes")
        }
        #expect(log.logEnd == .zero)
        #expect(try files.information(log.segments[0].path)?.byteCount == 0)
        _ = try append(sound, to: log)
        #expect(log.logEnd == Offset(2))
    }

    @Test("batches that claim more offsets than an index can name, or than there are, are refused")
    func tooManyOffsets() throws {
        OpenedLogs.holdDamage()
        let (_, harness) = harness()
        var bytes = try batch([[1]])
        // 2^31 records in one batch, of which one is there: header and checksum are sound.
        var header = try RecordBatchHeader(decoding: bytes.span.bytes)
        header.recordCount = .max
        header.lastOffsetDelta = .max - 1
        var span = bytes.mutableSpan
        var whole = span.mutableBytes
        header.encodeWithChecksum(into: &whole)
        let log = try harness.open()
        #expect(throws: LogError.self) { _ = try append(bytes + bytes, to: log) }
        for number in 0..<30 {
            _ = try append(bytes, to: log)
            #expect(log.logEnd.rawValue == Int64(Int32.max) * Int64(number + 1))
        }
        try log.flush()
        #expect(try log.read(from: Offset(Int64(Int32.max) * 7), bytesMax: 1) != nil)

        let (_, last) = self.harness()
        let full = try last.open(recoveryPoint: Offset(.max - 3), logStart: Offset(.max - 3))
        #expect(throws: LogError.self) { _ = try append(bytes, to: full) }
        _ = try append(try batch([[1], [2], [3]]), to: full)
        #expect(full.logEnd == Offset(.max))
        #expect(throws: LogError.self) { try full.append(values: [[1]]) }
    }

    @Test("a segment is rolled by size, by the time its records span, and by a full index")
    func rolling() throws {
        let (_, bySize) = harness()
        let sized = try bySize.open()
        for _ in 0..<10 { try sized.append(values: [Array(repeating: 0, count: 400)]) }
        #expect(sized.segments.map(\.baseOffset.rawValue) == [0, 3, 6, 9])

        var (_, byTime) = harness()
        byTime.configuration.segmentMillisecondsMax = 100
        let timed = try byTime.open()
        for time in [50, 150, 151, 60, 252, 300] {
            try timed.append(values: [[1]], timestamp: Int64(time))
        }
        #expect(timed.segments.map(\.baseOffset.rawValue) == [0, 2, 4])

        // With jitter somewhat earlier, and never later.
        var spans: Set<Int64> = []
        for _ in 0..<30 {
            byTime.configuration.segmentBytesMax = 1 << 20
            byTime.configuration.segmentJitterMilliseconds = 50
            let jittered = try LogHarness(
                files: harness().0, configuration: byTime.configuration
            ).open()
            var time: Int64 = 0
            while jittered.segments.count < 2 {
                try jittered.append(values: [[1]], timestamp: time)
                time += 1
            }
            spans.insert(time - 1)
        }
        #expect(spans.allSatisfy { $0 > 50 && $0 <= 101 } && spans.count > 3, "\(spans)")

        var (_, byIndex) = harness()
        byIndex.configuration.segmentBytesMax = 1 << 20
        byIndex.configuration.indexIntervalBytes = 1
        byIndex.configuration.segmentIndexBytesMax = 80
        let indexed = try byIndex.open()
        for _ in 0..<30 { try indexed.append(values: [[1]]) }
        #expect(indexed.segments.map(\.baseOffset.rawValue) == [0, 11, 22])
    }

    @Test(
        "no space fails that append alone, whatever part of it there was no space for",
        arguments: [true, false])
    func noSpace(canReserve: Bool) throws {
        let (files, harness) = harness()
        files.supportsReserving = canReserve
        var model = LogModel()
        var generator = SeededGenerator.fromEnvironment()
        let log = try harness.open()
        try log.append(records: 3, to: &model, using: &generator)
        var failures = 0
        for step in 0..<120 {
            // Now and then there is none at all, whatever chance says.
            let free = step % 20 == 0 ? 0 : Int.random(in: 0..<700, using: &generator)
            files.capacityBytes = files.usedBytes + free
            do {
                try log.append(records: 5, to: &model, using: &generator)
            } catch LogError.file(let error) {
                #expect(error.isNoSpace)
                failures += 1
            }
            #expect(log.stopReason == nil)
            // What was written of it is cut off again, and its space given back.
            let active = try #require(log.segments.last)
            let length = try files.information(active.path)?.byteCount
            #expect(length == Int64(active.byteCount))
            if step % 3 == 0 {
                files.capacityBytes = nil
                try log.append(records: 1, to: &model, using: &generator)
                try log.flush()
            }
        }
        #expect(failures > 3)
        files.capacityBytes = nil
        model.truncate(to: log.logEnd)
        try log.flush()
        #expect(try log.values() == model.values)
        _ = try log.close()
        var check = DirectoryCheck(files, harness.directory, indexIntervalBytes: 200)
        #expect(try check.run().isEmpty)
    }

    @Test("no space for the note of a new epoch fails that append and no more")
    func noSpaceForEpoch() throws {
        for kind in [OperationKind.sync, .write, .open] {
            let (files, harness) = harness()
            let log = try harness.open()
            files.plan(
                Fault(.error(ENOSPC), on: kind, pathSuffix: LeaderEpochs.fileName + ".tmp"))
            #expect(throws: LogError.self) { try log.append(values: [[1]]) }
            #expect(files.faultsHit == 1)
            #expect(log.stopReason == nil)
            try log.append(values: [[2]])
            #expect(try log.close() == Offset(1))
        }
    }

    @Test("a batch refused for want of space does not come back after a power loss")
    func refusedStaysAway() throws {
        var generator = SeededGenerator.fromEnvironment()
        var files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let harness = LogHarness(files: files)
        let log = try harness.open()
        try log.append(values: [[1]])
        try log.flush()
        // All of the batch is written before the error comes.
        files.plan(
            Fault(.partial(byteCount: 1000, code: ENOSPC), on: .write, pathSuffix: ".log"))
        #expect(throws: LogError.self) { try log.append(values: [[2]]) }
        #expect(files.faultsHit == 1)
        let left = (0..<20).map { _ in files.crash(choose: &generator) }
        for crashed in left {
            files = crashed
            let reopened = try LogHarness(files: files).open()
            #expect(try reopened.values() == [[1]])
        }
    }

    @Test("a segment that could not be begun is begun by the next append, or found empty later")
    func interruptedRoll() throws {
        let (files, harness) = harness()
        var model = LogModel()
        var generator = SeededGenerator.fromEnvironment()
        let log = try harness.open()
        for _ in 0..<3 { try log.append(records: 20, to: &model, using: &generator) }
        let count = log.segments.count
        // The new file is created, but cannot be looked at.
        files.plan(Fault(.error(ENOMEM), on: .information, pathSuffix: ".log"))
        #expect(throws: LogError.self) {
            try log.append(values: [Array(repeating: 7, count: 1000)])
        }
        #expect(log.segments.count == count)
        // A small batch would fit the old segment still; it must not go there.
        try log.append(records: 1, to: &model, using: &generator)
        #expect(log.segments.count == count + 1)
        try log.flush()
        let left = files.processCrash()
        var reopened = harness
        reopened.files = left
        #expect(try reopened.open(recoveryPoint: log.recoveryPoint).values() == model.values)
    }

    @Test("reserved space beyond the end is given back by a roll and by closing")
    func reservations() throws {
        let (files, harness) = harness()
        let log = try harness.open()
        for number in 0..<12 {
            try log.append(values: [Array(repeating: UInt8(number), count: 300)])
        }
        #expect(files.usedBytes > log.byteCount)
        _ = try log.close()
        let sizes = try contents(of: harness.directory, on: files).values.map(\.count)
        #expect(files.usedBytes == sizes.reduce(0, +))
    }
}
