import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// The power goes, or the process, after each single operation of a cleaning.
@Suite("A crash at every step of a cleaning", .timeLimit(.minutes(10)))
struct CleaningCrashTests {
    /// How the segments that are cleaned relate to those that come of them.
    enum Shape: String, CaseIterable, Sendable {
        /// Each for itself.
        case single
        /// Many small ones become one.
        case grouped
        /// A large one becomes several.
        case split
        /// Several with transactions, aborted ones among them.
        case transactions
    }

    private struct Prepared {
        var files = SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
        var harness: KeyedLog
        var log: PartitionLog
        var map: [[UInt8]: [UInt8]]
    }

    private func prepare(_ shape: Shape) throws -> Prepared {
        let files = SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
        var harness = KeyedLog(files)
        if shape == .split { harness.configuration.segmentBytesMax = 4000 }
        var log = try harness.open()
        switch shape {
        case .single: try log.fill(0..<8, keyCount: 2)
        case .grouped:
            for number in 0..<5 {
                try log.put("key \(number % 3)", "\(number)")
                try log.roll()
            }
        case .split:
            try log.fill(0..<7, keyCount: 7)
            try log.put("key 3", "new")
            _ = try log.close()
            harness.configuration.segmentBytesMax = 800
            log = try harness.open()
        case .transactions: try transact(log)
        }
        try log.roll()
        try log.flush()
        return Prepared(files: files, harness: harness, log: log, map: try log.readMap())
    }

    private func transact(_ log: PartitionLog) throws {
        for number in 0..<6 {
            let producer = Int64(number % 3)
            let batch = KeyedBatch(
                producer: BatchProducer(
                    id: producer, epoch: 0, baseSequence: Int32(number / 3)),
                isTransactional: true)
            let value = [UInt8](repeating: UInt8(number), count: 150)
            try log.put([Entry(key: [UInt8(number % 4)], value: value, timestamp: 0)], batch)
            try log.end(producer, didCommit: number % 2 == 0)
            if number % 2 == 1 { try log.roll() }
        }
    }

    @Test("the log is the old one or the new one", arguments: Shape.allCases)
    func everyStep(shape: Shape) throws {
        var generator = SeededGenerator.fromEnvironment("crash \(shape)")
        var call = 0
        var finished = 0
        while true {
            let prepared = try prepare(shape)
            let (files, harness) = (prepared.files, prepared.harness)
            let point = prepared.log.recoveryPoint
            // From here on nothing happens any more, whatever is tried.
            files.plan(Fault(.error(EIO), after: call, repeats: true))
            let isOver = (try? harness.clean(prepared.log, now: 0)) != nil
            files.clearFaults()
            let outcomes = [
                files.processCrash(), files.crash(keeping: .nothing),
                files.crash(choose: &generator), files.crash(choose: &generator),
            ]
            for (number, left) in outcomes.enumerated() {
                let names = try left.list(harness.directory)
                if names.contains(where: { $0.hasSuffix(".log.swap") }) { finished += 1 }
                try harness.on(left).expectWhole(
                    prepared.map, "after \(call) operations, \(number): \(names)",
                    after: (call + number) % 2 == 0 ? point : .zero)
            }
            if isOver { break }
            call += 1
        }
        #expect(call > 40)
        #expect(finished > 0)
    }
}
