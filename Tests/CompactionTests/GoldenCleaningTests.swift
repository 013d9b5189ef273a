import Foundation
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Partitions that Apache Kafka wrote, cleaned by us.
@Suite("Cleaning what Kafka wrote", .verifiesLogs)
struct GoldenCleaningTests {
    private struct Opened {
        var harness: KeyedLog
        var log: PartitionLog
        /// Kept for as long as files in it are used.
        var directory: TemporaryDirectory
    }

    private func open(_ topic: String, isClean: Bool, cleanedEnd: Offset = .zero) throws -> Opened {
        let directory = try TemporaryDirectory()
        var harness = KeyedLog(PosixFileSystem())
        harness.directory = directory.path("\(topic)-0")
        harness.configuration = LogConfiguration()
        harness.configuration.isCompacting = true
        try FileManager.default.copyItem(
            atPath: Fixtures.path("kafka-golden/partitions/\(topic)-0"),
            toPath: harness.directory)
        var log = try harness.open()
        if isClean {
            let end = try log.close()
            log = try harness.open(isClean: true, recoveryPoint: end, cleanedEnd: cleanedEnd)
        }
        return Opened(harness: harness, log: log, directory: directory)
    }

    /// The true latest value of each key.
    private func finalState() throws -> [[UInt8]: [UInt8]] {
        let bytes = try Fixtures.bytes("kafka-golden/expected/compacted-final-state.json")
        let state = try JSONDecoder().decode([String: String?].self, from: Data(bytes))
        var map: [[UInt8]: [UInt8]] = [:]
        for case (let key, let value?) in state { map[Array(key.utf8)] = Array(value.utf8) }
        return map
    }

    @Test("golden-compacted gives its final state, before our cleaning and after it")
    func compacted() throws {
        let expected = try finalState()
        #expect(expected.count > 100)
        for isClean in [true, false] {
            for cleanedEnd in [Offset.zero, Offset(5001)] {
                let opened = try open(
                    "golden-compacted", isClean: isClean, cleanedEnd: cleanedEnd)
                let (harness, log) = (opened.harness, opened.log)
                #expect(try log.readMap() == expected)
                let before = try log.committed()
                try log.roll()
                try log.flush()
                let now = try #require(before.map(\.1.timestamp).max())
                // Horizons that Kafka set lie ahead, then not any more.
                for time in [now, now + 400 * 86_400_000, now + 800 * 86_400_000] {
                    try harness.clean(log, now: time)
                    #expect(try log.readMap() == expected)
                }
                let left = try log.committed()
                #expect(left.count == expected.count)
                let originals = Dictionary(uniqueKeysWithValues: before)
                let isUnchanged = left.allSatisfy { originals[$0.0] == $0.1 }
                #expect(isUnchanged)
                log.removeRetiredFiles(now: nil)
                #expect(try harness.leftOvers() == [])
                _ = try log.close()
                let again = try harness.open()
                #expect(try again.readMap() == expected)
                _ = try again.close()
                withExtendedLifetime(opened.directory) {}
            }
        }
    }

    @Test(
        "others come to the same latest values as before, and keep what has no key",
        arguments: ["golden-transactions", "golden-plain", "golden-idempotent"]
            + Codec.ofThisBuild.filter { $0 != .none }.map { "golden-\($0)" },
        [true, false])
    func others(topic: String, isClean: Bool) throws {
        let opened = try open(topic, isClean: isClean)
        let (harness, log) = (opened.harness, opened.log)
        let before = try keyed(log)
        let codecs = Set(try log.headers().map(\.codec))
        let producers = try log.producerStates().map { [$0.producerID, Int64($0.lastSequence)] }
        try log.roll()
        try log.flush()
        for time in [Int64(0), 5_000_000_000_000, 9_000_000_000_000] {
            try harness.clean(log, now: time)
            let after = try keyed(log)
            #expect(after.map == before.map)
            #expect(after.withoutKey == before.withoutKey)
        }
        // What stays is packed as it was; placeholders are not packed.
        let left = try log.headers().filter { $0.recordCount > 0 }
        #expect(Set(left.map(\.codec)).isSubset(of: codecs))
        if codecs.count == 1 { #expect(Set(left.map(\.codec)) == codecs) }
        log.removeRetiredFiles(now: nil)
        for name in try harness.files.list(harness.directory) where name.hasSuffix(".snapshot") {
            try harness.files.remove(joinPath(harness.directory, name))
        }
        _ = try log.close()
        let again = try harness.open()
        let after = try keyed(again)
        #expect(after.map == before.map)
        #expect(after.withoutKey == before.withoutKey)
        let known = try again.producerStates().map { [$0.producerID, Int64($0.lastSequence)] }
        #expect(known == producers)
        _ = try again.close()
        withExtendedLifetime(opened.directory) {}
    }

    /// What a reader of committed records comes to.
    private func keyed(
        _ log: PartitionLog
    ) throws -> (map: [[UInt8]: [UInt8]], withoutKey: [Offset: [UInt8]?]) {
        var map: [[UInt8]: [UInt8]] = [:]
        var withoutKey: [Offset: [UInt8]?] = [:]
        var decoder = RecordDecoder()
        var offset = log.logStart
        while let slice = try log.read(
            from: offset, bytesMax: 1 << 20, bound: .lastStableOffset)
        {
            let aborted = try log.abortedTransactions(in: offset..<slice.nextOffset)
            var position = 0
            let bytes = slice.content.all
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                let header = batch.header
                position += header.sizeInBytes
                let isAborted = aborted.contains {
                    $0.producerID == header.producerID && header.attributes.isTransactional
                        && $0.firstOffset <= header.baseOffset
                        && header.lastOffset < $0.lastOffset
                }
                if header.attributes.isControl || isAborted { continue }
                try decoder.forEachRecord(in: batch) { record in
                    let entry = Entry(record)
                    if record.key == nil {
                        withoutKey[record.offset] = entry.value
                    } else {
                        map[entry.key] = entry.value
                    }
                }
            }
            offset = slice.nextOffset
        }
        return (map, withoutKey)
    }

    @Test(
        "a partition of a codec that is not supported says so, and stays",
        arguments: Codec.missing)
    func unsupported(codec: Codec) throws {
        let opened = try open("golden-\(codec)", isClean: false)
        let (harness, log) = (opened.harness, opened.log)
        try log.roll()
        try log.flush()
        let headers = try log.headers()
        let reason = try harness.reasonNotCleanable(log)
        #expect(reason?.contains("codec not supported: \(codec)") == true)
        #expect(try log.headers() == headers)
        #expect(try harness.leftOvers() == [])
        _ = try log.close()
        withExtendedLifetime(opened.directory) {}
    }
}
