import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Hostile directories")
struct FuzzTests {
    @Test("any bytes in any file give typed errors or a log that reads soundly, never a trap")
    func mutatedDirectories() throws {
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        let id = TopicID.random(using: &generator)
        var opened = 0
        for _ in 0..<400 {
            var log = template
            log.contents[PartitionMetadata.fileName] = Array("version: 0\ntopic_id: \(id)".utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let names = log.contents.keys.sorted()
                guard let name = names.randomElement(using: &generator) else { continue }
                mutate(&log.contents[name], using: &generator)
            }
            if Int.random(in: 0..<10, using: &generator) == 0 {
                // A segment by a name that does not fit it.
                let name = "0000000\(UInt32.random(in: 0 ... .max, using: &generator))000"
                log.contents[String(name.suffix(20)) + ".log"] = log[.zero, .log]
            }
            if try exercise(log, using: &generator) { opened += 1 }
        }
        #expect(opened > 50)
    }

    private func mutate(_ bytes: inout [UInt8]?, using generator: inout SeededGenerator) {
        guard var changed = bytes else { return }
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: bytes = nil
        case 1: bytes = generator.bytes(Int.random(in: 0..<300, using: &generator))
        case 2: bytes = Array(repeating: 0, count: changed.count)
        case 3: bytes = Array(changed.prefix(Int.random(in: 0...changed.count, using: &generator)))
        case 4: bytes = changed + generator.bytes(Int.random(in: 1..<100, using: &generator))
        default:
            guard !changed.isEmpty else { return }
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let position = Int.random(in: 0..<changed.count, using: &generator)
                let edge: [UInt8] = [
                    0, 1, 0x7F, 0x80, 0xFF, .random(in: 0 ... .max, using: &generator),
                ]
                changed[position] = edge.randomElement(using: &generator) ?? 0
            }
            bytes = changed
        }
    }

    /// Opens, reads by offset and by time, appends, closes and opens again; whether it opened.
    private func exercise(
        _ log: DamagedLog, using generator: inout SeededGenerator
    ) throws -> Bool {
        let harness = try log.install()
        let isClean = Bool.random(using: &generator)
        let recoveryPoint =
            isClean ? log.end : Offset(Int64.random(in: 0...log.end.rawValue, using: &generator))
        let readMode = Bool.random(using: &generator) ? ReadMode.mapped : .copied
        do {
            _ = try PartitionMetadata.read(from: LogHarness.directory, on: harness.files)
        } catch {
            #expect(!error.description.isEmpty)
        }
        do {
            let opened = try harness.open(
                isClean: isClean, recoveryPoint: recoveryPoint, readMode: readMode)
            for offset in stride(from: opened.logStart.rawValue, to: opened.logEnd.rawValue, by: 5)
                .prefix(50)
            {
                try? expectSound(opened, Offset(offset))
            }
            for time in stride(from: Int64(0), to: 300, by: 17) {
                _ = try? opened.offset(forTimestamp: Timestamp(milliseconds: time))
            }
            let end = opened.logEnd
            if end.rawValue < 1 << 40 {
                try opened.append(values: [[42]], timestamp: 5000)
                try opened.flush()
                let slice = try #require(try opened.read(from: end, bytesMax: 1))
                #expect(slice.nextOffset == end.advanced(by: 1))
            }
            let closedAt = try opened.close()
            let again = try harness.open(isClean: true, recoveryPoint: closedAt)
            #expect(again.logEnd == closedAt)
            return true
        } catch let error as LogError {
            #expect(!error.description.isEmpty)
            return false
        }
    }

    /// A read goes forward, whatever lies there.
    private func expectSound(_ log: PartitionLog, _ start: Offset) throws {
        guard let slice = try log.read(from: start, bytesMax: 700) else { return }
        #expect(slice.nextOffset > start)
        #expect(slice.byteCount > 0)
    }

    @Test("checkpoint files with any bytes give offsets or a typed error")
    func checkpoints() throws {
        var generator = SeededGenerator.fromEnvironment()
        let files = SimulatedFileSystem(directories: ["/data"])
        let partitions = (0..<5).map {
            (topic: "topic.\($0)-x", partition: Int32($0), offset: Offset(Int64($0) << 40))
        }
        let path = joinPath("/data", OffsetCheckpoint.Name.recoveryPoint.rawValue)
        try OffsetCheckpoint.write(partitions, .recoveryPoint, in: "/data", on: files)
        let sound = try #require(try files.readWhole(path, byteCountMax: 4096))
        #expect(
            String(decoding: sound, as: UTF8.self).hasPrefix("0\n5\ntopic.0-x 0 0\ntopic.1-x 1 "))
        let offsets = try OffsetCheckpoint.read(.recoveryPoint, in: "/data", from: files)
        #expect(offsets["topic.4-x-4"] == Offset(4 << 40))
        #expect(offsets.count == 5)
        #expect(try OffsetCheckpoint.read(.cleaner, in: "/data", from: files).isEmpty)
        for line in ["t 0 -1", "t -1 0", "t 0", "t 0 0 0", "t x 0", "t 0 9223372036854775808"] {
            try files.replace(path, with: Array("0\n1\n\(line)\n".utf8))
            let corruption = corruption {
                _ = try OffsetCheckpoint.read(.recoveryPoint, in: "/data", from: files)
            }
            #expect(corruption?.file == path, "\(line)")
        }
        var refused = 0
        for _ in 0..<500 {
            var bytes: [UInt8]? = sound
            mutate(&bytes, using: &generator)
            guard let bytes else { continue }
            try files.replace(path, with: bytes)
            try files.replace(joinPath("/data", LeaderEpochs.fileName), with: bytes)
            let corruption = corruption {
                let read = try OffsetCheckpoint.read(.recoveryPoint, in: "/data", from: files)
                #expect(read.values.allSatisfy { $0 >= .zero })
            }
            if let corruption {
                refused += 1
                #expect(corruption.file == path)
            }
            _ = try? LeaderEpochs.read(from: "/data", on: files)
        }
        #expect(refused > 100)
    }

    @Test("leader epochs that do not rise, or leave no room, are refused and never wrap around")
    func hostileEpochs() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let harness = LogHarness(files: files)
        let path = joinPath(LogHarness.directory, LeaderEpochs.fileName)
        for text in ["0\n2\n1 0\n1 5\n", "0\n2\n2 0\n1 5\n", "0\n2\n1 5\n2 4\n", "0\n1\n-1 0\n"] {
            try files.replace(path, with: Array(text.utf8))
            #expect(corruption { _ = try harness.open() } != nil, "\(text)")
        }
        try files.replace(path, with: Array("0\n1\n\(Int32.max) 0\n".utf8))
        let log = try harness.open()
        #expect(log.leaderEpoch == LeaderEpoch(.max))
        try log.append(values: [[1]])
        try log.flush()
        #expect(try harness.open().leaderEpoch == LeaderEpoch(.max))
    }
}
