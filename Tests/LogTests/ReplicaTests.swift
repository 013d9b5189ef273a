import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

extension PartitionLog {
    /// Appends what another log has.
    @discardableResult
    func copy(_ bytes: [UInt8]) throws -> Offset { try appendReplica(bytes.rawSpan) }
}

@Suite("Copies of another log", .verifiesLogs, .timeLimit(.minutes(10)))
struct ReplicaTests {
    private func harness(isCopy: Bool = true) -> LogHarness {
        var harness = LogHarness(
            files: SimulatedFileSystem(directories: ["/data", LogHarness.directory]))
        if isCopy { harness.configuration.source = "kafka:9092" }
        return harness
    }

    /// The bytes of a log from an offset on, cut between batches.
    private func bytes(_ log: PartitionLog, from offset: Offset = .zero) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var next = offset
        while let slice = try log.read(from: next, bytesMax: 1 << 20, bound: .logEnd) {
            bytes.append(slice.content.all)
            next = slice.nextOffset
        }
        return bytes
    }

    /// Batches of plain producers, of idempotent ones and of transactions, in several epochs.
    private func fill(
        _ harness: LogHarness, rounds: Int, using generator: inout SeededGenerator
    ) throws -> [UInt8] {
        var sequences: [Int64: Int32] = [:]
        var whole: [UInt8] = []
        var point = Offset.zero
        for _ in 0..<3 {
            // Each unclean opening begins an epoch.
            let log = try harness.open(recoveryPoint: point)
            for _ in 0..<rounds {
                switch Int.random(in: 0..<6, using: &generator) {
                case 0:
                    let codec: Codec = Bool.random(using: &generator) ? .lz4 : .none
                    try log.append(values: [[1], [2, 3], [4]], timestamp: 5, codec: codec)
                case 1...3:
                    let id = Int64.random(in: 1...4, using: &generator)
                    let count = Int.random(in: 1...3, using: &generator)
                    _ = try log.send(
                        sequences[id] ?? 0, count: count, producerID: id, isTransactional: id > 2)
                    sequences[id, default: 0] += Int32(count)
                default:
                    let id = Int64.random(in: 3...4, using: &generator)
                    let didCommit = Bool.random(using: &generator)
                    if sequences[id] != nil { try log.end(id, didCommit: didCommit) }
                }
            }
            try log.flush()
            point = log.recoveryPoint
            whole = try bytes(log)
        }
        return whole
    }

    @Test("a copy is its source, byte for byte, and knows as much, however it came in pieces")
    func pieces() throws {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<20 {
            let origin = harness(isCopy: false)
            let whole = try fill(origin, rounds: 30, using: &generator)
            let source = try origin.open(recoveryPoint: .zero)
            try source.flush()
            let harness = harness()
            let log = try harness.open()
            var at = 0
            while at < whole.count {
                var end = at
                for _ in 0..<Int.random(in: 1...8, using: &generator) where end < whole.count {
                    end += try RecordBatchHeader(decoding: whole.rawSpan, at: end).sizeInBytes
                }
                try log.copy(Array(whole[at..<end]))
                at = end
                if Bool.random(using: &generator) { try log.flush() }
            }
            try log.flush()
            try expect(log, toBeLike: source, whole)
            let end = try log.close()
            var check = DirectoryCheck(harness.files, harness.directory, indexIntervalBytes: 200)
            let problems = try check.run()
            #expect(problems.isEmpty, "\(problems)")
            try expect(try harness.open(isClean: true, recoveryPoint: end), toBeLike: source, whole)
        }
    }

    private func expect(
        _ log: PartitionLog, toBeLike source: PartitionLog, _ whole: [UInt8]
    ) throws {
        #expect(try bytes(log) == whole)
        #expect(log.logEnd == source.logEnd && log.highWatermark == source.highWatermark)
        let stable = try source.lastStableOffset()
        #expect(try log.lastStableOffset() == stable)
        if stable > .zero {
            #expect(
                try log.abortedTransactions(in: .zero..<stable)
                    == (try source.abortedTransactions(in: .zero..<stable)))
        }
        #expect(try known(to: log) == (try known(to: source)))
        for epoch in 0..<4 {
            let (mine, theirs) = (
                log.endOffset(forEpoch: LeaderEpoch(Int32(epoch))),
                source.endOffset(forEpoch: LeaderEpoch(Int32(epoch)))
            )
            #expect(mine?.epoch == theirs?.epoch && mine?.endOffset == theirs?.endOffset)
        }
    }

    /// What a log knows of producers, as far as a snapshot of it says too.
    private func known(to log: PartitionLog) throws -> [String] {
        try log.producerStates().map { state in
            "\(state.producerID) \(state.epoch) \(state.lastSequence) \(state.coordinatorEpoch) "
                + "\(state.transactionStart.map { "\($0)" } ?? "-")"
        }
    }

    @Test(
        "what Kafka's broker wrote gives the broker's files, byte for byte",
        arguments: Golden.appended, [1, 1000])
    func golden(golden: Golden, batchesAtOnce: Int) throws {
        let files = SimulatedFileSystem(directories: ["/data", "/data/t-0"])
        var harness = LogHarness(files: files, configuration: golden.configuration)
        harness.configuration.source = "kafka:9092"
        let log = try harness.open()
        var rest = try golden.batches()[...]
        while !rest.isEmpty {
            let group = rest.prefix(batchesAtOnce)
            rest = rest.dropFirst(group.count)
            #expect(try log.copy(group.flatMap(\.bytes)) == group.last?.header.nextOffset)
        }
        _ = try log.close()
        let expected = try golden.contents()
        let written = try contents(of: LogHarness.directory, on: files)
        let endings = SegmentName.Ending.allCases.map(\.rawValue)
        for name in Set(expected.keys).union(written.keys).sorted() {
            guard endings.contains(where: { name.hasSuffix($0) }) else { continue }
            #expect(written[name] == expected[name], "\(name)")
        }
        #expect(written[LeaderEpochs.fileName] == expected[LeaderEpochs.fileName])
    }

    @Test("gaps that compaction left stay gaps, over a power loss too", arguments: [true, false])
    func gaps(isClean: Bool) throws {
        let golden = try #require(Golden.all.first { $0.topic == "golden-compacted" })
        let batches = try golden.batches()
        let whole = batches.flatMap(\.bytes)
        let harness = harness()
        var log = try harness.open()
        for (_, bytes) in batches { try log.copy(bytes) }
        try log.flush()
        let point = log.recoveryPoint
        if isClean { _ = try log.close() }
        log = try harness.open(isClean: isClean, recoveryPoint: isClean ? point : .zero)
        #expect(try bytes(log) == whole)
        #expect(log.logEnd == batches.last?.header.nextOffset)
        #expect(log.segments.count > 1)
    }

    @Test("a copy takes no appends of its own; made an ordinary log, it begins a newer epoch")
    func promotion() throws {
        var generator = SeededGenerator.fromEnvironment()
        let whole = try fill(harness(isCopy: false), rounds: 20, using: &generator)
        var harness = harness()
        let log = try harness.open()
        try log.copy(whole)
        for attempt in [
            { _ = try log.append(values: [[1]]) }, { _ = try log.end(3, didCommit: true) },
        ] {
            do {
                try attempt()
                Issue.record("a copy took an append")
            } catch LogError.follows(let partition, let source) {
                #expect(partition == "t-0" && source == "kafka:9092")
            }
        }
        let copied = log.leaderEpoch
        harness.configuration.source = nil
        try log.adopt(harness.configuration)
        let result = try log.append(values: [[9]])
        #expect(result.leaderEpoch > copied && result.leaderEpoch == log.leaderEpoch)
        try log.flush()
        // From now on the two logs are different ones.
        harness.configuration.source = "kafka:9092"
        try log.adopt(harness.configuration)
        var builder = try RecordBatchBuilder()
        try builder.append(key: nil, value: nil, timestamp: .none)
        var foreign: [UInt8] = []
        foreign.append(try builder.finish(baseOffset: log.logEnd, leaderEpoch: copied))
        do {
            try log.copy(foreign)
            Issue.record("a batch of an older epoch was taken")
        } catch LogError.divergence(let divergence) {
            #expect(divergence.leaderEpoch == result.leaderEpoch)
            #expect("\(divergence)".contains("t-0"))
        }
    }

    @Test("an epoch that began here and wrote nothing does not stand in the way")
    func epochWithoutData() throws {
        var generator = SeededGenerator.fromEnvironment()
        let origin = harness(isCopy: false)
        let whole = try fill(origin, rounds: 10, using: &generator)
        let source = try origin.open(recoveryPoint: .zero)
        let second = try RecordBatchHeader(decoding: whole.rawSpan).sizeInBytes
        let first = Array(whole[..<second])
        var harness = harness(isCopy: false)
        harness.configuration.source = nil
        // Opened three times in disorder, as an ordinary log, with nothing appended.
        var point = Offset.zero
        for round in 0..<3 {
            let log = try harness.open(recoveryPoint: point)
            if round == 0 { try log.copy(first) }
            point = try log.close()
        }
        harness.configuration.source = "kafka:9092"
        let log = try harness.open(isClean: true, recoveryPoint: point)
        #expect(log.leaderEpoch > LeaderEpoch(0))
        try log.copy(Array(whole[second...]))
        try log.flush()
        try expect(log, toBeLike: source, whole)
    }

    @Test("what is damaged, out of place or in the wrong order is refused, and nothing is written")
    func refusals() throws {
        var generator = SeededGenerator.fromEnvironment()
        let whole = try fill(harness(isCopy: false), rounds: 10, using: &generator)
        let size = try RecordBatchHeader(decoding: whole.rawSpan).sizeInBytes
        let (first, rest) = (Array(whole[..<size]), Array(whole[size...]))
        let harness = harness()
        let log = try harness.open()
        try log.copy(first)
        let end = log.logEnd
        let second = try RecordBatchHeader(decoding: rest.rawSpan).sizeInBytes
        for position in 0..<second {
            var bytes = rest
            bytes[position] ^= UInt8.random(in: 1...255, using: &generator)
            // A leader epoch and a later offset lie outside the checksum, and may be true.
            let header = try? RecordBatchHeader(decoding: bytes.rawSpan)
            let isPlausible = position < 8 || (12..<16).contains(position)
            if isPlausible, let header, header.baseOffset >= end { continue }
            #expect(throws: LogError.self) { try log.copy(bytes) }
        }
        for bytes in [Array(rest.dropLast()), rest + [0], Array(rest.dropFirst()), rest + first] {
            #expect(throws: LogError.self) { try log.copy(bytes) }
        }
        do {
            try log.copy(whole)
            Issue.record("a batch came twice")
        } catch LogError.divergence(let divergence) {
            #expect(divergence.logEnd == end && divergence.offset == .zero)
        }
        #expect(log.logEnd == end && log.stopReason == nil)
        try log.copy(rest)
        #expect(try bytes(log) == whole)
        #expect(try log.copy([]) == log.logEnd)
    }

    @Test("a lack of space leaves what came before it, and the rest can be copied later")
    func noSpace() throws {
        var generator = SeededGenerator.fromEnvironment()
        let whole = try fill(harness(isCopy: false), rounds: 60, using: &generator)
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var harness = LogHarness(files: files)
        harness.configuration.source = "kafka:9092"
        let log = try harness.open()
        var failures = 0
        while try bytes(log).count < whole.count {
            files.capacityBytes = files.usedBytes + Int.random(in: 0..<4000, using: &generator)
            do {
                try log.copy(Array(whole[(try bytes(log).count)...]))
            } catch LogError.file(let error) {
                #expect(error.isNoSpace)
                failures += 1
                files.capacityBytes = nil
                let next = try bytes(log).count
                guard next < whole.count else { break }
                let size = try RecordBatchHeader(decoding: whole.rawSpan, at: next).sizeInBytes
                try log.copy(Array(whole[next..<next + size]))
            }
            #expect(log.stopReason == nil)
        }
        #expect(failures > 0)
        files.capacityBytes = nil
        try log.flush()
        #expect(try bytes(log) == whole)
        _ = try log.close()
    }

    @Test("what a power loss leaves of a copy is a beginning of the source, and is gone on with")
    func powerLoss() throws {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<30 {
            let origin = harness(isCopy: false)
            let whole = try fill(origin, rounds: 25, using: &generator)
            var harness = harness()
            var log = try harness.open()
            var synced = 0
            for _ in 0..<3 {
                while try bytes(log).count < whole.count,
                    Int.random(in: 0..<9, using: &generator) > 0
                {
                    let next = try bytes(log).count
                    let size = try RecordBatchHeader(decoding: whole.rawSpan, at: next).sizeInBytes
                    try log.copy(Array(whole[next..<next + size]))
                    if Bool.random(using: &generator) {
                        try log.flush()
                        synced = try bytes(log).count
                    }
                }
                let point = log.recoveryPoint
                let files = try #require(harness.files as? SimulatedFileSystem)
                harness.files = files.crash(choose: &generator)
                log = try harness.open(recoveryPoint: point)
                let kept = try bytes(log)
                #expect(kept.count >= synced && kept.elementsEqual(whole.prefix(kept.count)))
            }
            try log.copy(Array(whole[(try bytes(log).count)...]))
            try log.flush()
            try expect(log, toBeLike: try origin.open(recoveryPoint: .zero), whole)
        }
    }
}
