import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite struct PartitionSnapshotTests {
    /// Offsets of the records from `offset` on, read in slices of so many bytes.
    private func offsets(
        _ snapshot: PartitionSnapshot, from offset: Offset? = nil, bytesMax: Int = 3000
    ) throws -> [Int64] {
        var offsets: [Int64] = []
        var decoder = RecordDecoder()
        var at = offset ?? snapshot.logStart
        var near: ReadPosition?
        while let slice = try snapshot.read(from: at, bytesMax: bytesMax, near: near) {
            let bytes = slice.content.all
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                try batch.verifyChecksum()
                try decoder.forEachRecord(in: batch) { record in
                    if record.offset >= at { offsets.append(record.offset.rawValue) }
                }
                position += batch.header.sizeInBytes
            }
            at = slice.nextOffset
            near = slice.end
        }
        return offsets
    }

    @Test("a partition that Kafka wrote is read from any offset, across segments")
    func golden() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        defer { withExtendedLifetime(partition) {} }
        let snapshot = try partition.snapshot()
        #expect(snapshot.logStart == .zero && snapshot.logEnd == Offset(5000))
        #expect(snapshot.tail == nil)
        #expect(snapshot.segments.map(\.baseOffset) == [.zero, Offset(3300)])
        for start: Int64 in [0, 1, 49, 50, 51, 3299, 3300, 4999, 5000] {
            #expect(try offsets(snapshot, from: Offset(start)) == Array(start..<5000))
        }
        #expect(throws: LogError.self) { try snapshot.read(from: Offset(5001), bytesMax: 1) }
    }

    @Test("a log with gaps, as compaction leaves it, is read to its end")
    func compacted() throws {
        let partition = try GoldenPartition("golden-compacted-0")
        defer { withExtendedLifetime(partition) {} }
        let snapshot = try partition.snapshot()
        let all = try offsets(snapshot)
        #expect(all.count == 927)
        for start: Int64 in [0, 1, 2, 2860, 2861, 5000, 6049] {
            #expect(try offsets(snapshot, from: Offset(start)) == all.filter { $0 >= start })
        }
    }

    @Test("reading by time finds the first record at or after it")
    func time() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        defer { withExtendedLifetime(partition) {} }
        for isIndexed in [true, false] {
            if !isIndexed {
                for base in ["00000000000000000000", "00000000000000003300"] {
                    try partition.remove(base + ".timeindex")
                    try partition.remove(base + ".index")
                }
            }
            let snapshot = try partition.snapshot()
            let ten = Timestamp(milliseconds: 1_291_197_600_000)
            let found = try #require(try snapshot.offset(forTimestamp: ten))
            #expect(found.offset == Offset(197))
            #expect(found.timestamp >= ten)
            #expect(try snapshot.offset(forTimestamp: .none)?.offset == .zero)
            let late = Timestamp(milliseconds: 1_291_310_000_000)
            #expect(try snapshot.offset(forTimestamp: late)?.offset == Offset(4904))
            let never = Timestamp(milliseconds: 2_000_000_000_000)
            #expect(try snapshot.offset(forTimestamp: never) == nil)
        }
    }

    @Test("an incomplete tail ends the log cleanly, and its rest is found when it comes")
    func incompleteTail() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        defer { withExtendedLifetime(partition) {} }
        let file = "00000000000000003300.log"
        let whole = try partition.bytes(file)
        let positions = try partition.batchPositions(file)
        for ending in [".index", ".timeindex"] {
            try partition.remove("00000000000000003300" + ending)
        }
        var random = SeededGenerator.fromEnvironment()
        for _ in 0..<30 {
            let length = Int.random(in: 0..<whole.count, using: &random)
            try partition.write(Array(whole[..<length]), to: file)
            var snapshot = try partition.snapshot()
            let batches = positions.dropFirst().count { $0 <= length }
            let end = Int64(3300 + 50 * batches)
            #expect(snapshot.logEnd == Offset(end), "\(length) bytes")
            #expect((snapshot.tail == nil) == positions.contains(length))
            #expect(try offsets(snapshot) == Array(0..<end))
            #expect(try !snapshot.refresh())
            // Appended to, not written anew, as a writer does it.
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: partition.path(file)))
            try handle.seekToEnd()
            try handle.write(contentsOf: Data(whole[length...]))
            try handle.close()
            #expect(try snapshot.refresh())
            #expect(snapshot.tail == nil && snapshot.logEnd == Offset(5000))
            #expect(try offsets(snapshot, from: Offset(end)) == Array(end..<5000))
        }
    }

    @Test("damage in a batch ends the last segment there and is named")
    func damagedTail() throws {
        let partition = try GoldenPartition("golden-plain-0")
        defer { withExtendedLifetime(partition) {} }
        try partition.edit("00000000000000000000.log") { $0[$0.count - 5] ^= 1 }
        let snapshot = try partition.snapshot()
        let positions = try partition.batchPositions("00000000000000000000.log")
        let last = positions[positions.count - 2]
        #expect(snapshot.tail?.position.rawValue == last)
        #expect(snapshot.tail?.reason.contains("checksum") == true)
        #expect(try offsets(snapshot).count < 120)
    }

    @Test("a last segment that is cut and written anew below is seen anew")
    func cutAndRegrown() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        defer { withExtendedLifetime(partition) {} }
        let file = "00000000000000003300.log"
        let whole = try partition.bytes(file)
        let positions = try partition.batchPositions(file)
        try partition.write(Array(whole[..<positions[10]]), to: file)
        var snapshot = try partition.snapshot()
        #expect(snapshot.logEnd == Offset(3800))
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: partition.path(file)))
        try handle.truncate(atOffset: UInt64(positions[4]))
        try snapshot.refresh()
        #expect(snapshot.logEnd == Offset(3500))
        #expect(try offsets(snapshot) == Array(0..<3500))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: Data(whole[..<positions[20]]))
        try snapshot.refresh()
        #expect(snapshot.logEnd == Offset(4300))
        // Other bytes: what was walked over is not what is there now.
        try handle.truncate(atOffset: UInt64(positions[2]))
        try handle.seek(toOffset: UInt64(positions[2]))
        try handle.write(contentsOf: Data(whole[positions[3]...]))
        try snapshot.refresh()
        try snapshot.refresh()
        #expect(snapshot.logEnd == Offset(5000))
        #expect(try offsets(snapshot).count == 4950)
    }

    @Test("retired segments leave, and what was in them is out of range")
    func retired() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        defer { withExtendedLifetime(partition) {} }
        var snapshot = try partition.snapshot()
        for ending in [".log", ".index", ".timeindex"] {
            try partition.remove("00000000000000000000" + ending)
        }
        try snapshot.refresh()
        #expect(snapshot.logStart == Offset(3300))
        #expect(throws: LogError.self) { try snapshot.read(from: .zero, bytesMax: 100) }
        #expect(try offsets(snapshot) == Array(3300..<5000))
    }

    @Test("a segment that was replaced by another file of the same length is read anew")
    func replaced() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        defer { withExtendedLifetime(partition) {} }
        var snapshot = try partition.snapshot()
        func firstEpoch() throws -> LeaderEpoch? {
            let slice = try #require(try snapshot.read(from: .zero, bytesMax: 1))
            return try RecordBatch(slice.content.all).header.partitionLeaderEpoch
        }
        #expect(try firstEpoch() == LeaderEpoch(0))
        let file = "00000000000000000000.log"
        var bytes = try partition.bytes(file)
        bytes.store(Int32(7), at: 12)
        try partition.write(bytes, to: "new")
        #expect(rename(partition.path("new"), partition.path(file)) == 0)
        try snapshot.refresh()
        #expect(try firstEpoch() == LeaderEpoch(7))
        #expect(try offsets(snapshot) == Array(0..<5000))
    }

    @Test("lying indexes change nothing but the way")
    func lyingIndexes() throws {
        var random = SeededGenerator.fromEnvironment()
        for _ in 0..<20 {
            let partition = try GoldenPartition("golden-lz4-0")
            defer { withExtendedLifetime(partition) {} }
            for base in ["00000000000000000000", "00000000000000003300"] {
                let count = Int.random(in: 0...600, using: &random)
                try partition.write(random.bytes(count), to: base + ".index")
            }
            let snapshot = try partition.snapshot()
            #expect(snapshot.logEnd == Offset(5000))
            #expect(try offsets(snapshot, from: Offset(2470)) == Array(2470..<5000))
        }
    }

    @Test("a directory without segments is an empty log, and one that is missing an error")
    func empty() throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let environment = LogEnvironment.readOnly(on: PosixFileSystem())
        let snapshot = try PartitionSnapshot(opening: directory.path, environment: environment)
        #expect(snapshot.logStart == .zero && snapshot.logEnd == .zero)
        #expect(try snapshot.read(from: .zero, bytesMax: 100) == nil)
        #expect(throws: LogError.self) {
            try PartitionSnapshot(opening: directory.path("none"), environment: environment)
        }
    }
}
