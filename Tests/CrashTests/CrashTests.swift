import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Tests with a second process, killed or limited.
@Suite("A process of its own", .serialized)
struct CrashTests {
    @Test("killed 50 times at random, every acknowledged record is there, in order, exactly once")
    func killed() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let temporary = try TemporaryDirectory()
        let directory = temporary.path("t-0")
        let files = PosixFileSystem()
        try files.createDirectory(directory)
        var recoveryPoint = Offset.zero
        var acknowledged = Offset.zero
        var epoch = LeaderEpoch.none
        for round in 0..<50 {
            // Some die before they have said anything but that they opened the log.
            let child = try ChildProcess("append", directory, "\(recoveryPoint)")
            let told = Told(
                await child.kill(afterLineAnd: .random(in: 0..<60_000, using: &generator)))
            #expect(told.opened >= acknowledged, "round \(round)")
            acknowledged = max(acknowledged, told.acknowledged)

            let log = try PartitionLog.open(
                directory, environment: LogEnvironment(fileSystem: files, openFilesMax: 16),
                configuration: LogConfiguration(),
                checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: recoveryPoint))
            try #require(log.logEnd >= acknowledged, "round \(round)")
            // Each life that wrote something wrote it in an epoch of its own.
            #expect(told.acknowledged == .zero || log.leaderEpoch > epoch, "round \(round)")
            epoch = log.leaderEpoch
            try expectRecords(in: log, "round \(round)")
            // At times recovery begins late, at times it looks at everything.
            recoveryPoint = Bool.random(using: &generator) ? log.logEnd : recoveryPoint
            if round % 10 == 9 { _ = try log.close() }
        }
        #expect(acknowledged > Offset(50))
        print("\(acknowledged) records were acknowledged in 50 lives")
    }

    /// What was said: the last whole line is what was acknowledged.
    private struct Told {
        var opened = Offset(-1)
        var acknowledged = Offset.zero

        init(_ text: String) {
            for line in text.split(separator: "\n") {
                if line.hasPrefix("open ") {
                    opened = Offset(Int64(line.dropFirst(5)) ?? -1)
                } else {
                    acknowledged = Offset(Int64(line) ?? -1)
                }
            }
        }
    }

    private func expectRecords(in log: PartitionLog, _ story: String) throws {
        var offset = Offset.zero
        var expected: Int64 = 0
        var decoder = RecordDecoder()
        while let slice = try log.read(from: offset, bytesMax: 1 << 20) {
            let bytes = slice.content.all
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                try batch.verifyChecksum()
                try decoder.forEachRecord(in: batch) { record in
                    guard let value = record.value else { throw CocoaError(.fileReadCorruptFile) }
                    let text = (0..<value.byteCount).map {
                        value.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
                    }
                    try #require(record.offset.rawValue == expected, "\(story)")
                    try #require(text == Array("record \(expected)".utf8), "\(story)")
                    expected += 1
                }
                position += batch.header.sizeInBytes
            }
            offset = slice.nextOffset
        }
        #expect(Offset(expected) == log.logEnd, "\(story)")
    }

    @Test("4,000 partitions live under a limit of 224 descriptors, and never use more than 205")
    func manyPartitions() async throws {
        // In memory where there is such a file system: 4,000 partitions sync some 20,000 times.
        let memory = "/dev/shm/tally-test-\(ProcessInfo.processInfo.processIdentifier)"
        let temporary = try TemporaryDirectory()
        let isInMemory = mkdir(memory, 0o700) == 0
        defer { if isInMemory { try? FileManager.default.removeItem(atPath: memory) } }
        let child = try ChildProcess("many", isInMemory ? memory : temporary.path, "4000")
        let text = String(decoding: await child.waitUntilExit(), as: UTF8.self)
        #expect(child.status == 0)
        let most = try #require(
            text.split(separator: "\n").last.flatMap { Int($0.dropFirst("most ".count)) })
        // The pool's, and standard input, output and error.
        #expect(most <= 205)
        #expect(most > 100)
    }
}
