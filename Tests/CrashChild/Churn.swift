import Glibc
import Tally

/// An engine of which every part is busy: appends, rolls, retention, checkpoints, deletions,
/// cleanings.
///
/// What else an engine does in the background is added to `settings`, or as another task.
extension CrashChild {
    /// Partitions of the topic "t". Records of the last are deleted by hand; of the others the
    /// oldest go by size.
    static let churnPartitions: Int32 = 3

    /// Segments of a few records, of which some kilobytes are kept.
    private static let settings = [
        "segment.bytes": "1500", "index.interval.bytes": "300", "retention.bytes": "6000",
        "file.delete.delay.ms": "0",
    ]

    /// Keys of the compacted topic "c", which is cleaned all the time.
    static let churnKeys = 5
    private static let compactedSettings = [
        "cleanup.policy": "compact", "segment.bytes": "700", "min.cleanable.dirty.ratio": "0",
        "file.delete.delay.ms": "0",
    ]

    /// Works until somebody kills us. Says `opened`; `stored PARTITION OFFSET VALUE` for what was
    /// acknowledged, `deleting PARTITION OFFSET` before and `deleted ...` after a deletion;
    /// `latest KEY OFFSET VALUE` for what was acknowledged in the compacted topic.
    ///
    /// - Parameter life: makes the values unique: `LIFE.NUMBER`, counting up in each partition.
    static func churn(in directory: String, life: Int) async throws {
        var configuration = EngineConfiguration()
        configuration.openFilesMax = 32
        let engine = try await Engine.open(at: directory, configuration: configuration)
        guard engine.offlinePartitions.isEmpty else { exit(2) }
        try await engine.ensureTopic(
            "t", partitions: Int(churnPartitions),
            configuration: try TopicConfiguration(settings))
        try await engine.ensureTopic(
            "c", partitions: 1, configuration: try TopicConfiguration(compactedSettings))
        say("opened")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for partition in 0..<churnPartitions {
                group.addTask { try await sendForever(engine, partition, life) }
            }
            group.addTask { try await sendLatestForever(engine, life) }
            group.addTask {
                while true { _ = try await engine.compact(topic: "c") }
            }
            group.addTask {
                while true { try await engine.enforceRetention() }
            }
            group.addTask {
                // Deletes nothing, and writes the checkpoints.
                while true {
                    try await engine.deleteRecords(ofTopic: "t", partition: 0, before: .zero)
                }
            }
            group.addTask {
                while true {
                    let name = "short-lived"
                    try await engine.createTopic(name, partitions: 1)
                    _ = try await engine.producer().send(key: nil, value: "x", to: name)
                    try await engine.deleteTopic(name)
                }
            }
            try await group.waitForAll()
        }
    }

    private static func sendForever(
        _ engine: Engine, _ partition: Int32, _ life: Int
    ) async throws {
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 0
        let producer = try engine.producer(configuration)
        let isDeletedByHand = partition == churnPartitions - 1
        for number in 0... {
            // Values of many lengths, so that batches end anywhere in a page.
            let value = "\(life).\(number)." + String(repeating: "v", count: number * 37 % 300)
            let record = ProducerRecord(
                topic: "t", partition: partition, key: nil as String?, value: value)
            let sent = try await producer.send(record)
            say("stored \(partition) \(sent.offset) \(value)")
            guard isDeletedByHand, number % 7 == 6 else { continue }
            let offset = sent.offset.advanced(by: -3)
            say("deleting \(partition) \(offset)")
            let start = try await engine.deleteRecords(
                ofTopic: "t", partition: partition, before: max(offset, .zero))
            say("deleted \(partition) \(start)")
        }
    }

    private static func sendLatestForever(_ engine: Engine, _ life: Int) async throws {
        let producer = try engine.producer()
        for number in 0... {
            let value = "\(life).\(number)"
            let key = number % churnKeys
            let sent = try await producer.send(key: "\(key)", value: value, to: "c")
            say("latest \(key) \(sent.offset) \(value)")
        }
    }

    /// Has the directory open until somebody kills us.
    static func hold(_ directory: String) async throws {
        let engine = try await Engine.open(at: directory)
        say("opened")
        while true { sleep(1) }
        _ = engine
    }
}
