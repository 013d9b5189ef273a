import CoreMetrics
import MetricsTestKit
import TallyTestSupport
import Testing

@testable import Tally

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
}
