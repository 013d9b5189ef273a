import TallyTestSupport
import Testing

@testable import Tally

/// Clocks that jump, of producers and of this machine.
@Suite(.timeLimit(.minutes(10))) struct ClockTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(_ settings: [String: String]) async throws -> Engine {
        var all = ["segment.bytes": "400", "file.delete.delay.ms": "0"]
        for (name, value) in settings { all[name] = value }
        let engine = try await Engine.open(at: directory.path)
        try await engine.ensureTopic(
            "a", partitions: 1, configuration: try TopicConfiguration(all))
        return engine
    }

    private func send(_ engine: Engine, at times: [Int64]) async throws {
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 0
        let producer = try engine.producer(configuration)
        let value = [UInt8](repeating: 7, count: 150)
        for time in times {
            try producer.enqueue(
                topic: "a", partition: 0, key: nil, value: value.span.bytes,
                timestamp: Timestamp(milliseconds: time))
            try await producer.flush()
        }
    }

    @Test("a clock that goes backwards retires nothing early and forgets nobody")
    func backwards() async throws {
        let engine = try await engine(["retention.ms": "1000"])
        // Two records a segment: [9000, 100], [8000, 50], [7000, 60], ...
        try await send(engine, at: [9_000, 100, 8_000, 50, 7_000, 60, 20_000, 10])
        let log = try engine.partition(0, of: "a").log
        #expect(log.segments.count >= 4)
        // The clock of this machine stands in the past, far in the past, or nowhere.
        for now in [9_500, 0, 50, -1, Int64.min] {
            engine.enforceRetention(now: Timestamp(milliseconds: now))
            #expect(log.logStart == .zero, "at \(now)")
        }
        // The largest timestamp of a segment counts, not the last; and none is passed over.
        engine.enforceRetention(now: Timestamp(milliseconds: 9_999))
        #expect(log.logStart == .zero)
        engine.enforceRetention(now: Timestamp(milliseconds: 10_001))
        #expect(log.logStart == Offset(6))
        // Backwards again: nothing comes back, nothing more goes.
        engine.enforceRetention(now: Timestamp(milliseconds: 5))
        #expect(log.logStart == Offset(6))
        try await send(engine, at: [1, 2])
        #expect(try await engine.values(of: "a")[0]?.count == 4)
        engine.enforceRetention(now: Timestamp(milliseconds: .max))
        #expect(log.logStart == Offset(10) && log.logEnd == Offset(10))
        try await engine.close()
    }

    @Test("a compacted topic is due for its tombstones at their time, and never for ever")
    func compaction() async throws {
        var configuration = EngineConfiguration()
        configuration.isCleanerEnabled = false
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic(
            "compacted", partitions: 1,
            configuration: try TopicConfiguration([
                "cleanup.policy": "compact", "delete.retention.ms": "1000",
                "min.cleanable.dirty.ratio": "0", "file.delete.delay.ms": "0",
            ]))
        let partition = try engine.partition(0, of: "compacted")
        let log = try partition.log
        let compactor = engine.compactor
        func delete(_ key: String) async throws {
            for value in ["1", nil] {
                _ = try await engine.producer().send(key: key, value: value, to: "compacted")
            }
            try log.roll()
            try log.flush()
        }
        /// Cleans as often as the background would at this time; how often that is.
        func cleanings(at milliseconds: Int64) throws -> Int {
            let now = Timestamp(milliseconds: milliseconds)
            for count in 0..<10 {
                guard compactor.status(of: partition, now: now).isDue else { return count }
                _ = try compactor.cleanNow(partition, log, at: now)
            }
            return .max
        }
        func horizon() -> Int64? {
            compactor.status(of: partition, now: .now).history.firstDeleteHorizon
        }
        try await delete("a")
        #expect(try cleanings(at: 100_000) == 1 && horizon() == 101_000)
        // Set back: the tombstone waits for its time, and what comes meanwhile is cleaned.
        for milliseconds in [50_000, 0, -1, Int64.min] {
            #expect(try cleanings(at: milliseconds) == 0)
        }
        try await delete("b")
        #expect(try cleanings(at: 50_000) == 1 && horizon() == 51_000)
        #expect(try cleanings(at: 50_999) == 0)
        #expect(try cleanings(at: 51_000) == 1 && horizon() == 101_000)
        #expect(try await engine.values(of: "compacted") == [0: ["null"]])
        #expect(try cleanings(at: 20_000) == 0 && cleanings(at: 100_999) == 0)
        #expect(try cleanings(at: 101_000) == 1 && horizon() == nil)
        #expect(try await engine.values(of: "compacted") == [:])
        #expect(try cleanings(at: .max) == 0)
        try await engine.close()
    }

    @Test("a cleaning that failed at a time that is to come is tried again at once")
    func failureToCome() {
        var history = CompactionHistory()
        history.failure = "no space"
        history.failedAt = 100_000
        func isWaiting(at milliseconds: Int64) -> Bool {
            history.hasJustFailed(Timestamp(milliseconds: milliseconds), within: 15_000)
        }
        #expect(isWaiting(at: 100_000) && isWaiting(at: 114_999) && !isWaiting(at: 115_000))
        #expect(!isWaiting(at: 99_999) && !isWaiting(at: 0) && !isWaiting(at: -5))
    }

    @Test("segments roll by their records' own time, forwards and backwards, at its ends too")
    func extremes() async throws {
        let engine = try await engine([
            "segment.ms": "1000", "segment.bytes": "100000", "retention.ms": "1000",
            "message.timestamp.after.max.ms": "\(Int64.max)",
        ])
        let times: [Int64] = [5_000, 4_000, 5_500, 7_000, 0, .max, 1, .max - 1, 2]
        try await send(engine, at: times)
        let log = try engine.partition(0, of: "a").log
        #expect(log.logEnd == Offset(Int64(times.count)))
        #expect(try await engine.values(of: "a")[0]?.count == times.count)
        #expect(try log.offset(forTimestamp: Timestamp(milliseconds: .max))?.offset == Offset(5))
        #expect(try log.offset(forTimestamp: Timestamp(milliseconds: 6_000))?.offset == Offset(3))
        for now in [Int64.min, 0, 5_000] {
            engine.enforceRetention(now: Timestamp(milliseconds: now))
            #expect(log.logStart == .zero)
        }
        // A record from the end of time is never old: it keeps what comes after it.
        engine.enforceRetention(now: Timestamp(milliseconds: .max))
        #expect(log.logStart <= Offset(5))
        try await engine.close()
        let again = try await self.engine([:])
        #expect(try again.partition(0, of: "a").log.logEnd == Offset(Int64(times.count)))
        try await again.close()
    }
}
