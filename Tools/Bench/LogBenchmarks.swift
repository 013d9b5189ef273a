import TallyFiles
import TallyLog
import TallyRecords

/// Measures one partition's log: one thread, page cache warm, `.buffered`.
struct LogBenchmarks {
    let directory: String
    let runs: Int
    let limits: Limits
    private let files = PosixFileSystem()

    init(directory: String, runs: Int) {
        self.directory = directory
        self.runs = runs
        limits = Limits(directory: directory)
    }

    /// All that are wanted for one size of values and one codec.
    func measure(
        _ workload: Workload, where isWanted: (String) -> Bool
    ) throws -> [BenchmarkLine] {
        let figures: [(name: String, measure: (Workload) throws -> BenchmarkLine)] = [
            ("produce", produce), ("append", append), ("scan", scan), ("lookup", lookup),
            ("recovery", recovery), ("recovery", readAndChecksum),
            ("memcpy", copy),
        ]
        return try figures.filter { isWanted($0.name) }.map { try $0.measure(workload) }
    }

    private func line(
        _ name: String, _ workload: Workload, _ pair: (figure: Double, limit: Double),
        _ limitName: String, bytesPerRecord: Double, target: String? = nil
    ) -> BenchmarkLine {
        BenchmarkLine(
            name: name, valueBytes: workload.valueBytes, codec: "\(workload.codec)",
            perSecond: pair.figure / bytesPerRecord, unit: "records",
            bytesPerSecond: pair.figure, limitName: limitName,
            limitPerSecond: pair.limit / bytesPerRecord, target: target)
    }

    // MARK: Writing

    /// Encoding and appending, as a producer does.
    private func produce(_ workload: Workload) throws -> BenchmarkLine {
        let isPlain = workload.codec == .none
        let pair = try paired(runs: runs) {
            try withLog { log in
                try seconds { try encodeAndAppend(workload, to: log) }
            }.map { Double(workload.plainByteCount) / $0 }
        } limit: {
            isPlain ? try limits.write(workload.batches) : limits.compress(workload.plainBatches)
        }
        return line(
            "produce", workload, pair, isPlain ? "pwrite" : "LZ4 compression",
            bytesPerRecord: Double(workload.plainByteCount) / Double(workload.recordCount),
            target: isPlain
                ? (workload.valueBytes == 100 ? "10 M records/s" : nil) : "0.6 of LZ4")
    }

    private func encodeAndAppend(_ workload: Workload, to log: PartitionLog) throws {
        var builder = try RecordBatchBuilder(
            codec: workload.codec, capacity: Workload.batchBytes * 2)
        for number in 0..<workload.recordCount {
            try workload.append(number, to: &builder)
            if builder.estimatedByteCount >= Workload.batchBytes {
                var bytes = try builder.finishMutable()
                _ = try log.append(&bytes, from: .ownEncoder, now: .none)
                builder.reset()
            }
        }
        guard !builder.isEmpty else { return }
        var bytes = try builder.finishMutable()
        _ = try log.append(&bytes, from: .ownEncoder, now: .none)
    }

    /// Appending batches that came from elsewhere: everything is checked.
    private func append(_ workload: Workload) throws -> BenchmarkLine {
        var batches = workload.batches
        let pair = try paired(runs: runs) {
            try withLog { log in
                try seconds { try appendAll(&batches, to: log) }
            }.map { Double(workload.byteCount) / $0 }
        } limit: {
            try limits.write(workload.batches)
        }
        let target: String? =
            switch (workload.codec, workload.valueBytes) {
            case (.none, 100): "13 M records/s"
            case (.none, _): "0.8 of pwrite"
            default: nil
            }
        return line(
            "append", workload, pair, "pwrite",
            bytesPerRecord: Double(workload.byteCount) / Double(workload.recordCount),
            target: target)
    }

    private func appendAll(_ batches: inout [[UInt8]], to log: PartitionLog) throws {
        for index in batches.indices {
            var span = batches[index].mutableSpan
            var bytes = span.mutableBytes
            _ = try log.append(&bytes, from: .outside, now: .none)
        }
    }

    // MARK: Reading

    /// Reading everything: checksums checked, every key and value touched.
    private func scan(_ workload: Workload) throws -> BenchmarkLine {
        let isPlain = workload.codec == .none
        let pair = try withLog { log -> (figure: Double, limit: Double) in
            var batches = workload.batches
            try appendAll(&batches, to: log)
            return try paired(runs: runs) {
                Double(workload.plainByteCount) / (try seconds { try scan(log, workload) })
            } limit: {
                isPlain
                    ? limits.checksum(workload.batches) : limits.decompress(workload.plainBatches)
            }
        }.value
        return line(
            "scan", workload, pair, isPlain ? "CRC-32C" : "LZ4 decompression",
            bytesPerRecord: Double(workload.plainByteCount) / Double(workload.recordCount),
            target: isPlain
                ? (workload.valueBytes == 100 ? "47 M records/s" : nil) : "0.6 of LZ4")
    }

    private func scan(_ log: PartitionLog, _ workload: Workload) throws {
        var offset = Offset.zero
        var near: ReadPosition?
        var decoder = RecordDecoder()
        var count = 0
        var sum: UInt32 = 0
        while let slice = try log.read(from: offset, bytesMax: 1 << 20, near: near) {
            let bytes = slice.content.all
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                try batch.verifyChecksum()
                var records = try decoder.records(of: batch)
                while let record = try records.next() {
                    sum &+= touch(record.key) &+ touch(record.value)
                    count += 1
                }
                position += batch.header.sizeInBytes
            }
            offset = slice.nextOffset
            near = slice.end
        }
        keep(sum)
        guard count == workload.recordCount else {
            throw BenchmarkError(description: "read \(count) of \(workload.recordCount) records")
        }
    }

    @inline(__always)
    private func touch(_ bytes: RawSpan?) -> UInt32 {
        guard let bytes, bytes.byteCount > 0 else { return 0 }
        let last = bytes.byteCount - 1
        return UInt32(bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self))
            &+ UInt32(bytes.unsafeLoad(fromByteOffset: last, as: UInt8.self))
    }

    /// Reading one batch at a random offset.
    private func lookup(_ workload: Workload) throws -> BenchmarkLine {
        let count = 50_000
        let pair = try withLog { log -> (figure: Double, limit: Double) in
            var batches = workload.batches
            try appendAll(&batches, to: log)
            let end = UInt64(log.logEnd.rawValue)
            return try paired(runs: runs) {
                var random = SplitMix(state: 7)
                let time = try seconds {
                    for _ in 0..<count {
                        let offset = Offset(Int64(random.next() % end))
                        guard try log.read(from: offset, bytesMax: 1) != nil else {
                            throw BenchmarkError(description: "offset \(offset) was not found")
                        }
                    }
                }
                return Double(count) / time
            } limit: {
                try limits.randomReads(workload.batches, count: count)
            }
        }.value
        return BenchmarkLine(
            name: "lookup", valueBytes: workload.valueBytes, codec: "\(workload.codec)",
            perSecond: pair.figure, unit: "lookups", limitName: "pread + CRC-32C",
            limitPerSecond: pair.limit)
    }

    // MARK: Recovery

    /// Opening after a crash, with nothing synced and no index.
    private func recovery(_ workload: Workload) throws -> BenchmarkLine {
        let path = directory + "/recovery-0"
        try files.createDirectory(path)
        defer { removeAll(path) }
        var batches = workload.batches
        let written = try open(path)
        try appendAll(&batches, to: written)
        _ = try written.close()
        let pair = try paired(runs: runs) {
            for name in try files.list(path) where name.hasSuffix("index") {
                try files.remove(path + "/" + name)
            }
            let time = try seconds { _ = try open(path, isClean: false) }
            return Double(workload.byteCount) / time
        } limit: {
            limits.checksum(workload.batches)
        }
        return line(
            "recovery", workload, pair, "CRC-32C",
            bytesPerRecord: Double(workload.byteCount) / Double(workload.recordCount),
            target: "0.5 of CRC-32C")
    }

    /// No figure of the log: what moving the batches once costs.
    private func copy(_ workload: Workload) throws -> BenchmarkLine {
        let speeds = (0..<runs).map { _ in limits.copy(workload.batches) }.sorted()
        let bytesPerRecord = Double(workload.byteCount) / Double(workload.recordCount)
        let median = speeds[speeds.count / 2]
        return BenchmarkLine(
            name: "(memcpy)", valueBytes: workload.valueBytes, codec: "\(workload.codec)",
            perSecond: median / bytesPerRecord, unit: "records", bytesPerSecond: median)
    }

    /// No figure of the log, but the part of a recovery that nobody can leave out.
    private func readAndChecksum(_ workload: Workload) throws -> BenchmarkLine {
        let pair = try paired(runs: runs) {
            try limits.readAndChecksum(workload.batches)
        } limit: {
            limits.checksum(workload.batches)
        }
        return line(
            "(pread + CRC-32C)", workload, pair, "CRC-32C",
            bytesPerRecord: Double(workload.byteCount) / Double(workload.recordCount))
    }

    /// Appends that wait for stable storage, one by one.
    func durableAppends(_ workload: Workload, count: Int) throws -> BenchmarkLine {
        var batch = workload.batches[0]
        let chunk = batch
        let pair = try paired(runs: runs) {
            try withLog(durability: .synced) { log in
                try seconds {
                    for _ in 0..<count {
                        var span = batch.mutableSpan
                        var bytes = span.mutableBytes
                        _ = try log.append(&bytes, from: .outside, now: .none)
                        try log.flush()
                    }
                }
            }.map { Double(count) / $0 }
        } limit: {
            try limits.durableWrites(chunk, count: count)
        }
        return BenchmarkLine(
            name: "durable append", valueBytes: workload.valueBytes, codec: "\(workload.codec)",
            perSecond: pair.figure, unit: "appends", limitName: "pwrite + fdatasync",
            limitPerSecond: pair.limit, target: "0.9 of pwrite + fdatasync")
    }

    // MARK: Logs

    /// A result that can be turned into another.
    struct Timed<Value> {
        var value: Value
        func map<Other>(_ transform: (Value) -> Other) -> Other { transform(value) }
    }

    private func withLog<Value>(
        durability: Durability = .buffered, _ body: (PartitionLog) throws -> Value
    ) throws -> Timed<Value> {
        let path = directory + "/bench-0"
        try files.createDirectory(path)
        defer { removeAll(path) }
        let log = try open(path, durability: durability)
        let value = try body(log)
        _ = try log.close()
        return Timed(value: value)
    }

    private func open(
        _ path: String, isClean: Bool = true, durability: Durability = .buffered
    ) throws -> PartitionLog {
        var configuration = LogConfiguration()
        configuration.durability = durability
        return try PartitionLog.open(
            path, environment: LogEnvironment(fileSystem: files, openFilesMax: 100),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: isClean, recoveryPoint: .zero))
    }

    private func removeAll(_ path: String) {
        for name in (try? files.list(path)) ?? [] { try? files.remove(path + "/" + name) }
        try? files.removeDirectory(path)
    }
}

/// Why a figure could not be had.
struct BenchmarkError: Error, CustomStringConvertible {
    var description: String
}
