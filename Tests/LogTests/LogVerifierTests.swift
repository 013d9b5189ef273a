import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite struct LogVerifierTests {
    @Test("nothing is wrong with what Kafka wrote", arguments: GoldenPartition.names)
    func golden(_ name: String) throws {
        let report = try GoldenPartition(name).verify()
        #expect(report.problems == [])
        #expect(report.segments.reduce(0) { $0 + $1.batchCount } > 0)
    }

    @Test("damage is found where it is", arguments: LogDamage.all)
    func damage(_ damage: LogDamage) throws {
        let partition = try GoldenPartition(damage.partition)
        try damage.apply(partition)
        let report = try partition.verify()
        let found = report.problems.filter { $0.severity > .note }
        let path = partition.path(damage.file)
        #expect(
            found.contains { problem in
                problem.file == path && problem.position.rawValue == damage.position
                    && problem.severity == damage.severity
                    && problem.reason.contains(damage.reason)
            }, "\(found.map(\.description).joined(separator: "\n"))")
        if damage.isOnly { #expect(found.count == 1, "\(found)") }
        #expect(!report.isSound)
    }

    @Test("what is sound behind damage is still counted")
    func goesOnBehindDamage() throws {
        let whole = try GoldenPartition("golden-lz4-0").verify()
        for damage in LogDamage.batches.prefix(6) {
            let partition = try GoldenPartition("golden-lz4-0")
            try damage.apply(partition)
            let report = try partition.verify()
            #expect(report.segments[0].batchCount == whole.segments[0].batchCount - 1)
            #expect(report.segments[1].recordCount == whole.segments[1].recordCount)
        }
    }

    @Test("a segment that is missing in the middle is damage")
    func missingSegment() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let log = try LogHarness(files: files).open()
        while log.segments.count < 4 { try log.append(values: [[UInt8](repeating: 1, count: 200)]) }
        _ = try log.close()
        let bases = log.segments.map(\.baseOffset)
        for ending in SegmentName.Ending.allCases {
            let path = joinPath(LogHarness.directory, SegmentName.file(bases[1], ending))
            if try files.information(path) != nil { try files.remove(path) }
        }
        let report = try LogVerifier(
            of: LogHarness.directory, environment: .readOnly(on: files)
        ).verify()
        let damage = report.problems.filter { $0.severity == .damage }
        #expect(damage.map(\.file).count == 1)
        #expect(damage.first?.file.hasSuffix(SegmentName.file(bases[1], .log)) == true)
        let missing = "offsets \(bases[1]) to \(bases[2].advanced(by: -1)) are in no segment"
        #expect(damage.first?.reason.contains(missing) == true)
    }

    @Test("an index that a running Kafka has reserved is no problem")
    func reservedIndex() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        for ending in [".index", ".timeindex"] {
            try partition.edit("00000000000000003300" + ending) {
                $0 += repeatElement(0, count: 12 << 16)
            }
        }
        let report = try partition.verify()
        #expect(report.isSound)
        #expect(report.problems.map(\.severity) == [.note, .note])
        #expect(report.segments[1].offsetIndexEntryCount == 26)
    }

    @Test("problems of one file are listed up to a limit, and the rest are counted")
    func bounded() throws {
        let partition = try GoldenPartition("golden-lz4-0")
        for number in 0..<300 {
            try partition.write([], to: "x\(number).log")
        }
        try partition.edit("00000000000000000000.index") { bytes in
            bytes = []
            for entry in Int32(1)...300 {
                var more = [UInt8](repeating: 0, count: 8)
                more.store(entry * 10, at: 0)
                more.store(entry * 13, at: 4)
                bytes += more
            }
        }
        let problems = try partition.verify().problems
        let ofIndex = problems.filter { $0.file.hasSuffix("00000.index") }
        #expect(ofIndex.count == LogReport.problemsMax + 1)
        #expect(ofIndex.last?.reason.contains("more problems") == true)
    }

    @Test("any change of one byte of a log is found or harmless, and never a trap")
    func randomBytes() throws {
        var random = SeededGenerator.fromEnvironment()
        let files = [
            "golden-transactions-0/00000000000000000015.log",
            "golden-transactions-0/00000000000000000015.txnindex",
            "golden-transactions-0/00000000000000000015.timeindex",
            "golden-transactions-0/leader-epoch-checkpoint",
            "golden-transactions-0/partition.metadata",
            "golden-idempotent-0/00000000000000000000.index",
            "golden-idempotent-0/00000000000000000000.timeindex",
        ]
        for round in 0..<200 {
            let file = files[round % files.count]
            let parts = file.split(separator: "/")
            let partition = try GoldenPartition(String(parts[0]))
            var position = 0
            try partition.edit(String(parts[1])) { bytes in
                position = Int.random(in: 0..<bytes.count, using: &random)
                bytes[position] ^= UInt8.random(in: 1...255, using: &random)
            }
            let report = try partition.verify()
            // All bytes of a log are checked (the first batch's leader epoch by the checkpoint).
            if file.hasSuffix(".log") { #expect(!report.isSound, "\(file) byte \(position)") }
            if file.hasSuffix(".txnindex") { #expect(!report.isSound, "\(file) byte \(position)") }
        }
    }

    @Test("a wrong base offset of the last batch is found, though nothing follows it")
    func lastBaseOffset() throws {
        for byte in 0..<8 {
            let partition = try GoldenPartition("golden-transactions-0")
            try partition.edit("00000000000000000015.log") { $0[1784 + byte] ^= 0x4c }
            #expect(try !partition.verify().isSound, "byte \(byte)")
        }
    }

    @Test("a leader epoch below none is damage, though no checksum covers it")
    func negativeEpoch() throws {
        let partition = try GoldenPartition("golden-transactions-0")
        try partition.edit("00000000000000000015.log") { $0[1164 + 12] = 0x80 }
        let found = try partition.verify().problems.filter { $0.severity == .damage }
        #expect(found.map(\.position) == [FilePosition(1164)])
        #expect(found.first?.reason.contains("-2147483648") == true)
    }

    @Test("a snapshot of producers that is not sound is found, and mended by the log")
    func damagedSnapshot() throws {
        for damage in [{ (bytes: inout [UInt8]) in bytes[20] ^= 1 }, { $0.removeLast() }] {
            let partition = try GoldenPartition("golden-transactions-0")
            let name = "00000000000000000071.snapshot"
            try partition.edit(name) { damage(&$0) }
            let found = try partition.verify().problems
            #expect(found.map(\.file) == [partition.path(name)])
            #expect(found.map(\.severity) == [.mendable])
        }
    }

    @Test("the report counts what is there")
    func counts() throws {
        let report = try GoldenPartition("golden-transactions-0").verify()
        #expect(report.segments.map(\.recordCount) == [15, 56])
        #expect(report.segments.map(\.controlBatchCount) == [0, 6])
        #expect(report.segments.map(\.transactionIndexEntryCount) == [nil, 3])
        #expect(report.segments[1].batchCountByCodec == [.none: 12, .lz4: 2])
        #expect(report.transactions.lastStableOffset == Offset(71))
        let packed = try GoldenPartition("golden-lz4-0").verify()
        // 5,000 records are about 750 kB before compression.
        let unpacked = packed.segments.reduce(0) { $0 + $1.unpackedByteCount }
        #expect((700_000..<800_000).contains(unpacked))
        #expect(packed.segments.reduce(0) { $0 + $1.readByteCount } == 100_964)
    }

    @Test("records of every codec that the build has are read", arguments: Codec.allCases)
    func codecs(codec: Codec) throws {
        guard codec != .none, codec != .lz4 else { return }
        let report = try GoldenPartition("golden-\(codec)-0").verify()
        let sum = report.segments.reduce((packed: 0, unpacked: 0)) {
            ($0.packed + $1.readByteCount, $0.unpacked + $1.unpackedByteCount)
        }
        // 200 events of 150 bytes or so.
        #expect((sum.packed > 2000) == codec.isSupported)
        #expect((25_000..<35_000).contains(sum.unpacked) == codec.isSupported)
    }

    @Test("damage within a frame is damage", arguments: Codec.ofThisBuild)
    func damagedFrame(codec: Codec) throws {
        guard codec != .none else { return }
        let partition = try GoldenPartition("golden-\(codec)-0")
        let file = "00000000000000000000.log"
        try partition.edit(file) { bytes in
            // In the first batch, whose checksum is made right again.
            let end = try RecordBatchHeader(decoding: bytes.rawSpan).sizeInBytes
            for position in 70..<100 { bytes[position] ^= 0x55 }
            let sum = Checksum.crc32c(bytes.rawSpan.part(at: 21, count: end - 21))
            for index in 0..<4 { bytes[17 + index] = UInt8(sum >> UInt32(24 - 8 * index) & 255) }
        }
        let report = try partition.verify()
        let problem = try #require(report.problems.first { $0.severity == .damage })
        #expect(problem.file == partition.path(file) && problem.position.rawValue == 0)
    }
}
