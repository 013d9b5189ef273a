import CoreMetrics
import Glibc
import MetricsTestKit
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

/// What the engine tells through swift-metrics. The only suite that sets the factory, which can be
/// done once in a process; other tests then tell theirs too, of partitions with other names.
@Suite(.timeLimit(.minutes(10))) struct MetricsTests {
    private static let metrics: TestMetrics = {
        let metrics = TestMetrics()
        MetricsSystem.bootstrap(metrics)
        return metrics
    }()

    private func value(_ gauge: String, of partition: String) -> Double? {
        let dimensions = [("partition", partition)]
        return Self.metrics.recorders(label: gauge, dimensions: dimensions).last?.lastValue
    }

    private func total(_ counter: String, of partition: String) -> Int64 {
        Self.metrics.counterTotal(label: counter, dimensions: [("partition", partition)])
    }

    @Test("cleaning tells how dirty a log is, what it read, wrote and removed, and its tombstones")
    func compaction() async throws {
        _ = Self.metrics
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.isCleanerEnabled = false
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic(
            "measured", partitions: 1,
            configuration: try TopicConfiguration([
                "cleanup.policy": "compact", "segment.bytes": "500",
            ]))
        let producer = try engine.producer()
        for number in 0..<30 {
            let value = number == 29 ? nil : "\(number)"
            _ = try await producer.send(key: "k\(number % 3)", value: value, to: "measured")
        }
        engine.surveyCompaction()
        #expect(value("tally_compaction_dirty_ratio", of: "measured-0") == 1)
        #expect(value("tally_compaction_seconds_since_last_run", of: "measured-0") == nil)
        _ = try await engine.compact(topic: "measured", rolling: true)
        engine.surveyCompaction()
        #expect(value("tally_compaction_dirty_ratio", of: "measured-0") == 0)
        let sinceLastRun = value("tally_compaction_seconds_since_last_run", of: "measured-0")
        #expect((0..<60).contains(try #require(sinceLastRun)))
        #expect(value("tally_compaction_pending_tombstones", of: "measured-0") == 1)
        #expect(value("tally_compaction_failed", of: "measured-0") == 0)
        #expect(total("tally_compaction_removed_records", of: "measured-0") == 27)
        // Thirty batches of 68 bytes or more are read twice, and a few are written.
        #expect(total("tally_compaction_read_bytes", of: "measured-0") > 2 * 30 * 68)
        #expect((1..<1000).contains(total("tally_compaction_written_bytes", of: "measured-0")))
        try await engine.close()
    }

    @Test(
        "a cleaning that fails tells so, and what it read and wrote; one that works takes it back")
    func failedCleaning() async throws {
        _ = Self.metrics
        let files = SimulatedFileSystem(directories: ["/data"])
        var configuration = EngineConfiguration()
        configuration.isCleanerEnabled = false
        let engine = try await Engine.open(on: files, configuration: configuration)
        try await engine.createTopic(
            "failing", partitions: 1,
            configuration: try TopicConfiguration(["cleanup.policy": "compact"]))
        let producer = try engine.producer()
        for number in 0..<30 {
            _ = try await producer.send(key: "k\(number % 3)", value: "\(number)", to: "failing")
        }
        let byteCount = try engine.describeTopic("failing").partitions[0].byteCount
        func expectMoved(_ times: Int, writing written: Int) async throws {
            // For the keys, and again for the records.
            let read = 2 * byteCount * times
            #expect(total("tally_compaction_read_bytes", of: "failing-0") == read)
            #expect(total("tally_compaction_written_bytes", of: "failing-0") == written * times)
            let history = try await engine.compactionStatus()[0].history
            #expect(history.readByteCount == read && history.writtenByteCount == written * times)
        }
        // By then all is read, and written to the new segment.
        files.plan(Fault(.error(EIO), on: .sync, pathSuffix: ".log.cleaned"))
        await #expect(throws: LogError.self) {
            try await engine.compact(topic: "failing", rolling: true)
        }
        #expect(files.faultsHit == 1)
        #expect(value("tally_compaction_failed", of: "failing-0") == 1)
        #expect(try await engine.compactionStatus()[0].history.failure != nil)
        let written = Int(total("tally_compaction_written_bytes", of: "failing-0"))
        #expect((1..<byteCount).contains(written))
        try await expectMoved(1, writing: written)

        _ = try await engine.compact(topic: "failing")
        #expect(value("tally_compaction_failed", of: "failing-0") == 0)
        try await expectMoved(2, writing: written)
        let history = try await engine.compactionStatus()[0].history
        #expect(history.failure == nil && history.runCount == 1)
        #expect(history.removedRecordCount == 27)
        try await engine.close()
    }

    enum Departure: String, CaseIterable, Sendable { case retired, compacted, truncated }

    @Test(
        "files that are gone count as long as a reader holds what it read of them",
        arguments: Departure.allCases)
    func unlinked(departure: Departure) async throws {
        _ = Self.metrics
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.isCleanerEnabled = false
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        let policy = departure == .compacted ? "compact" : "delete"
        try await engine.createTopic(
            "held", partitions: 1,
            configuration: try TopicConfiguration([
                "cleanup.policy": policy, "segment.bytes": "3000", "file.delete.delay.ms": "0",
            ]))
        // Other engines tell the same gauge of theirs: no other test has segments as large as this.
        let size = 700 + 7 * (Departure.allCases.firstIndex(of: departure) ?? 0)
        let value = String(repeating: "x", count: size)
        let producer = try engine.producer()
        for _ in 0..<12 { _ = try await producer.send(key: "k", value: value, to: "held") }
        let log = try engine.partition(0, of: "held").log
        let sizes = log.segments.map { $0.byteCount }
        #expect(sizes.count == 4 && Set(sizes).count == 1)
        /// What the gauge was told by this engine or another.
        func told(_ body: () async throws -> Void) async throws -> [Double] {
            let gauge = Self.metrics.recorders(label: "tally_unlinked_mapped_bytes", dimensions: [])
            let before = gauge.first?.values.count ?? 0
            try await body()
            engine.removeRetiredFiles()
            let all = Self.metrics.recorders(label: "tally_unlinked_mapped_bytes", dimensions: [])
            return Array((all.first?.values ?? []).dropFirst(before))
        }
        var (first, second) = (
            try log.read(from: .zero, bytesMax: 1), try log.read(from: Offset(3), bytesMax: 1)
        )
        let whileThere = try await told {}
        #expect(!whileThere.contains(Double(sizes[0])))
        let both = try await told {
            switch departure {
            case .retired:
                try await engine.deleteRecords(ofTopic: "held", partition: 0)
                try await engine.enforceRetention()
            case .compacted: try await engine.compact(topic: "held", rolling: true)
            // In the middle of the first segment: the second goes as a whole.
            case .truncated: try log.truncate(to: Offset(1)) {}
            }
        }
        #expect(both.contains(Double(2 * sizes[0])), "\(both)")
        for slice in [first, second] {
            let slice = try #require(slice)
            try RecordBatch(slice.content.all).verifyChecksum()
        }
        first = nil
        let one = try await told {}
        #expect(one.contains(Double(sizes[0])), "\(one)")
        second = nil
        let none = try await told {}
        #expect(none.contains(0) && !none.contains(Double(sizes[0])), "\(none)")
        #expect(engine.environment.maps.unlinkedByteCount == 0)
        try await engine.close()
    }

    @Test("logs tell how large they are, and how often they were synced")
    func logs() async throws {
        _ = Self.metrics
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("sized", partitions: 1)
        let producer = try engine.producer()
        func told() -> Double? {
            Self.metrics.recorders(
                label: "tally_log_bytes",
                dimensions: [("topic", "sized"), ("partition", "0")]
            ).last?.lastValue
        }
        func syncs() -> Int64 {
            Self.metrics.counterTotal(label: "tally_syncs_total", dimensions: [])
        }
        let before = syncs()
        for number in 0..<3 {
            _ = try await producer.send(key: nil, value: "\(number)", to: "sized")
            engine.recordLogs()
            let byteCount = try engine.describeTopic("sized").partitions[0].byteCount
            #expect(byteCount > 0 && told() == Double(byteCount))
        }
        // Other engines of the process count theirs as well.
        #expect(engine.syncCount >= 3)
        #expect(syncs() - before >= engine.syncCount)
        try await engine.close()
    }

    @Test("a group tells its commits, assignments and lag; producers tell how transactions ended")
    func groups() async throws {
        _ = Self.metrics
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("lagging", partitions: 1)
        let producer = try engine.producer()
        for number in 0..<5 {
            _ = try await producer.send(key: nil, value: "\(number)", to: "lagging")
        }
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(
            group: "measured-group", topics: ["lagging"], configuration)
        for try await _ in consumer { break }
        let partition = TopicPartition(topic: "lagging", partition: 0)
        try await consumer.commit([partition: OffsetToCommit(offset: Offset(3))])
        let group = [("group", "measured-group")]
        func lag() -> Double? {
            Self.metrics.recorders(
                label: "tally_group_lag",
                dimensions: group + [("topic", "lagging"), ("partition", "0")]
            ).last?.lastValue
        }
        await engine.recordGroupLags()
        #expect(lag() == 2)
        // Of a group that stands still, and then has no member at all.
        _ = try await producer.send(key: nil, value: "5", to: "lagging")
        await engine.recordGroupLags()
        #expect(lag() == 3)
        #expect(
            Self.metrics.counterTotal(label: "tally_group_commits_total", dimensions: group) == 1)
        #expect(
            Self.metrics.counterTotal(label: "tally_group_assignments_total", dimensions: group)
                == 1)
        try await consumer.close()
        _ = try await producer.send(key: nil, value: "6", to: "lagging")
        await engine.recordGroupLags()
        #expect(lag() == 4)

        func ended(_ outcome: String) -> Int64 {
            Self.metrics.counterTotal(
                label: "tally_transactions_total", dimensions: [("outcome", outcome)])
        }
        let before = (ended("committed"), ended("aborted"))
        var settings = ProducerConfiguration()
        settings.transactionalID = "measured"
        let writer = try engine.producer(settings)
        try await writer.initTransactions()
        for isCommitted in [true, true, false] {
            try writer.beginTransaction()
            _ = try await writer.send(key: nil, value: "x", to: "lagging")
            if isCommitted {
                try await writer.commitTransaction()
            } else {
                try await writer.abortTransaction()
            }
        }
        // Other tests' transactions count too.
        #expect(ended("committed") >= before.0 + 2 && ended("aborted") >= before.1 + 1)
        try await engine.close()
    }
}
