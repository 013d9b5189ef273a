import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// A cleaner in a process that is killed.
@Suite("A cleaner that is killed", .serialized)
struct CompactionCrashTests {
    @Test("killed 40 times at random, it leaves the latest acknowledged value of each key")
    func killed() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let temporary = try TemporaryDirectory()
        let directory = temporary.path("t-0")
        let files = PosixFileSystem()
        try files.createDirectory(directory)
        var recoveryPoint = Offset.zero
        var acknowledged: [String: Int64] = [:]
        var unfinished = 0
        for round in 0..<40 {
            for (key, offset) in try await live(
                in: directory, recoveryPoint, using: &generator)
            {
                acknowledged[key] = max(acknowledged[key] ?? -1, offset)
            }
            if try leftOvers(directory, files) != [] { unfinished += 1 }
            let log = try PartitionLog.open(
                directory, environment: LogEnvironment(fileSystem: files, openFilesMax: 16),
                configuration: LogConfiguration(),
                checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: recoveryPoint))
            #expect(try leftOvers(directory, files) == [], "round \(round)")
            let found = try latest(log)
            for (key, offset) in acknowledged {
                // What was not acknowledged may be there as well, and be newer.
                let value = try #require(found[key], "key \(key), round \(round)")
                try #require(value >= offset, "key \(key), round \(round)")
                try #require(value % 13 == Int64(key), "key \(key), round \(round)")
            }
            recoveryPoint = Bool.random(using: &generator) ? log.logEnd : recoveryPoint
            if round % 10 == 9 { _ = try log.close() }
        }
        #expect(acknowledged.count == 13)
        print("\(unfinished) of 40 lives ended within a cleaning")
        #expect(unfinished > 5)
    }

    /// One life of the child: what it said was acknowledged, the newest of each key.
    private func live(
        in directory: String, _ recoveryPoint: Offset,
        using generator: inout some RandomNumberGenerator
    ) async throws -> [String: Int64] {
        let child = try ChildProcess("compact", directory, "\(recoveryPoint)")
        let told = await child.kill(afterLineAnd: .random(in: 0..<90_000, using: &generator))
        var latest: [String: Int64] = [:]
        for line in told.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, let offset = Int64(words[0]) else { continue }
            #expect(words[0] == words[2])
            latest[String(words[1])] = offset
        }
        return latest
    }

    private func leftOvers(_ directory: String, _ files: any FileSystem) throws -> [String] {
        try files.list(directory).filter { name in
            [".cleaned", ".swap", ".deleted"].contains { name.hasSuffix($0) }
        }
    }

    /// The newest value of each key; offsets must rise.
    private func latest(_ log: PartitionLog) throws -> [String: Int64] {
        var found: [String: Int64] = [:]
        var offset = log.logStart
        var last: Int64 = -1
        var decoder = RecordDecoder()
        func text(_ span: RawSpan) -> String {
            String(
                decoding: (0..<span.byteCount).map {
                    span.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
                }, as: UTF8.self)
        }
        while let slice = try log.read(from: offset, bytesMax: 1 << 20) {
            let bytes = slice.content.all
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                try batch.verifyChecksum()
                position += batch.header.sizeInBytes
                try decoder.forEachRecord(in: batch) { record in
                    try #require(record.offset.rawValue > last)
                    last = record.offset.rawValue
                    guard let key = record.key, let value = record.value else { return }
                    let number = try #require(Int64(text(value)))
                    // Each record lies where it was put.
                    try #require(number == last)
                    found[text(key)] = number
                }
            }
            offset = slice.nextOffset
        }
        return found
    }
}
