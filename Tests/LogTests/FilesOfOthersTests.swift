import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Files that somebody else shortens, removes or replaces while a log has them open, for real.
@Suite struct FilesOfOthersTests {
    private let temporary: TemporaryDirectory
    private var directory: String { temporary.path("t-0") }

    init() throws {
        temporary = try TemporaryDirectory(holdsDamage: true)
        try PosixFileSystem().createDirectory(temporary.path("t-0"))
    }

    /// A log of several segments, each of many index entries, with 2,000 records of 100 bytes.
    private func log(_ readMode: ReadMode) throws -> PartitionLog {
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 100_000
        configuration.indexIntervalBytes = 150
        let log = try PartitionLog.open(
            directory,
            environment: LogEnvironment(
                fileSystem: PosixFileSystem(), openFilesMax: 64, readMode: readMode),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: .zero))
        for number in 0..<2_000 {
            try log.append(values: [value(number)], timestamp: Int64(number))
        }
        try log.flush()
        return log
    }

    private func value(_ number: Int) -> [UInt8] {
        Array("\(number)".utf8) + [UInt8](repeating: 0x2E, count: 100)
    }

    private func shorten(_ path: String, to byteCount: UInt64) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.truncate(atOffset: byteCount)
        try file.close()
    }

    @Test(
        "a log file cut under a map is found by the next fetch, with file and position",
        arguments: [ReadMode.mapped, .copied], [0, 4_096, 30_000])
    func shortenedLog(readMode: ReadMode, byteCount: Int) throws {
        let log = try log(readMode)
        #expect(log.segments.count > 2)
        let first = log.segments[0]
        // Mapped and looked at: what a fetch of before gave stays what it was, unless the
        // application touches what is gone, which is a documented limit.
        #expect(try log.read(from: .zero, bytesMax: 1 << 20) != nil)
        try shorten(first.path, to: UInt64(byteCount))
        for offset in [Int64(500), 0] {
            let damage = try #require(self.damage(met: Offset(offset), in: log))
            #expect(damage.file == first.path)
            #expect(damage.position == FilePosition(byteCount))
            #expect("\(damage)".contains("the file ends here"))
        }
        // The other segments, and appends, are as before.
        let next = log.segments[1].baseOffset
        #expect(try log.values(from: next).count == 2_000 - Int(next.rawValue))
        try log.append(values: [value(2_000)])
        try log.flush()
        #expect(log.highWatermark == Offset(2_001))
    }

    /// The damage that a read from an offset reports; nil where it reports none.
    private func damage(met offset: Offset, in log: PartitionLog) -> Corruption? {
        do {
            _ = try log.read(from: offset, bytesMax: 1 << 20)
            return nil
        } catch {
            guard case .corruption(let damage) = error else { return nil }
            return damage
        }
    }

    /// The error of a flush that fails.
    private func flushError(of log: PartitionLog) -> FileError? {
        do {
            try log.flush()
            return nil
        } catch {
            guard case .file(let cause) = error else { return nil }
            return cause
        }
    }

    @Test(
        "index files cut under a map, or full of another segment's entries, mislead no lookup",
        arguments: [ReadMode.mapped, .copied])
    func shortenedIndexes(readMode: ReadMode) throws {
        let log = try log(readMode)
        let paths = [".index", ".timeindex"].map { ending in
            String(log.segments[0].path.dropLast(".log".count)) + ending
        }
        let other = String(log.segments[1].path.dropLast(".log".count)) + ".index"
        for byteCount in [2_400, 13, 0, -1] {
            try lookUp(in: log)
            for path in paths {
                if byteCount >= 0 { try shorten(path, to: UInt64(byteCount)) }
            }
            if byteCount < 0 {
                let entries = try Data(contentsOf: URL(fileURLWithPath: other))
                try entries.write(to: URL(fileURLWithPath: paths[0]))
            }
            try lookUp(in: log)
        }
        _ = try log.close()
    }

    private func lookUp(in log: PartitionLog) throws {
        for offset in stride(from: Int64(0), to: 2_000, by: 37) {
            let slice = try #require(try log.read(from: Offset(offset), bytesMax: 1))
            #expect(try RecordBatch(slice.content.all).header.baseOffset == Offset(offset))
            let found = try log.offset(forTimestamp: Timestamp(milliseconds: offset))
            #expect(found?.offset == Offset(offset))
        }
    }

    @Test("a directory, or a log file, removed or replaced: no acknowledgement from then on")
    func removed() throws {
        let elsewhere = directory + "-elsewhere"
        for damage in ["directory", "file", "replaced", "linked", "moved", "directory moved"] {
            let log = try log(.mapped)
            let active = try #require(log.segments.last).path
            switch damage {
            case "linked":
                // A backup made of links keeps the file, under a name where nobody looks.
                // It stands for so long that the path was followed since.
                #expect(link(active, elsewhere) == 0)
                Thread.sleep(forTimeInterval: 1.1)
                try log.append(values: [value(2_000)])
                try log.flush()
                try FileManager.default.removeItem(atPath: active)
            case "moved": try FileManager.default.moveItem(atPath: active, toPath: elsewhere)
            case "directory moved":
                try FileManager.default.moveItem(atPath: directory, toPath: elsewhere)
            case "directory": try FileManager.default.removeItem(atPath: directory)
            case "file": try FileManager.default.removeItem(atPath: active)
            default:
                // Written beside and renamed, as an editor or a restore does it.
                let bytes = try Data(contentsOf: URL(fileURLWithPath: active))
                try bytes.write(to: URL(fileURLWithPath: active), options: .atomic)
            }
            // Another name is noticed a second later at most.
            if damage.contains("moved") { Thread.sleep(forTimeInterval: 1.1) }
            let end = log.logEnd
            try log.append(values: [value(2_000)])
            let error = try #require(flushError(of: log), "acknowledged without \(damage)")
            #expect(error.path == active && error.isAbsent, "\(error)")
            #expect(log.highWatermark == end)
            #expect(log.stopReason?.contains(active) == true)
            // What is mapped can be read on.
            #expect(try log.values().count == Int(end.rawValue))
            #expect(throws: LogError.self) { try log.close() }
            try? FileManager.default.removeItem(atPath: directory)
            try? FileManager.default.removeItem(atPath: elsewhere)
            try PosixFileSystem().createDirectory(directory)
        }
    }
}
