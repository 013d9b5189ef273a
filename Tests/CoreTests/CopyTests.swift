import Tally
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Topics that are copies of another cluster's") struct CopyTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func batch(at offset: Int64, epoch: Int32 = 4, _ value: String) throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        let key = Array("k".utf8)
        let value = Array(value.utf8)
        try builder.append(
            key: key.span.bytes, value: value.span.bytes, timestamp: Timestamp(milliseconds: 1))
        var bytes: [UInt8] = []
        bytes.append(
            try builder.finish(baseOffset: Offset(offset), leaderEpoch: LeaderEpoch(epoch)))
        return bytes
    }

    private let partition = TopicPartition(topic: "t", partition: 0)

    private func copied() throws -> TopicConfiguration {
        try TopicConfiguration(["tally.source": "kafka:9092"])
    }

    @Test("a copy has its source's identity, takes what that has, and is read as any topic")
    func life() async throws {
        let id = TopicID.random()
        var engine = try await Engine.open(at: directory.path)
        let made = try await engine.createTopic(
            "t", id: id, partitions: 1, configuration: try copied())
        #expect(made.id == id && made.configuration.source == "kafka:9092")
        try await engine.restartCopy(of: partition, at: Offset(100))
        let two = try batch(at: 100, "a") + batch(at: 107, "b")
        #expect(try await engine.appendCopy(of: two[...], to: partition) == Offset(108))
        // Opened again, in order: as it was, in the epochs of its source.
        try await engine.close()
        engine = try await Engine.open(at: directory.path)
        let again = try engine.describeTopic("t")
        #expect(again.id == id && again.partitions[0].logStart == Offset(100))
        #expect(again.partitions[0].highWatermark == Offset(108))
        #expect(again.partitions[0].leaderEpoch == LeaderEpoch(4))
        #expect(try await engine.batch(holding: Offset(107), of: partition) == batch(at: 107, "b"))
        // Where compaction left nothing, and outside.
        #expect(try await engine.batch(holding: Offset(104), of: partition) == nil)
        #expect(try await engine.batch(holding: Offset(108), of: partition) == nil)
        var values: [String] = []
        let consumer = try engine.consumer(of: "t", ConsumerConfiguration(end: .currentEnd))
        for try await records in consumer {
            try records.forEachRecord { record in
                values.append("\(record.offset) \(record.valueText ?? "")")
            }
        }
        #expect(values == ["100 a", "107 b"])
        try await engine.close()
    }

    @Test("a copy refuses records of its own until it is made an ordinary topic")
    func promotion() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("t", partitions: 1, configuration: try copied())
        try await engine.appendCopy(of: try batch(at: 0, "a")[...], to: partition)
        let producer = try engine.producer()
        do {
            _ = try await producer.send(ProducerRecord(topic: "t", key: nil, value: "x"))
            Issue.record("a copy took a record")
        } catch LogError.follows(_, let source) {
            #expect(source == "kafka:9092")
        }
        try await engine.alterTopic("t", resetting: ["tally.source"])
        let sent = try await producer.send(ProducerRecord(topic: "t", key: nil, value: "x"))
        #expect(sent.offset == Offset(1))
        #expect(try engine.describeTopic("t").partitions[0].leaderEpoch > LeaderEpoch(4))
        await #expect(throws: EngineError.notCopy(topic: "t")) {
            try await engine.restartCopy(of: partition, at: .zero)
        }
        try await engine.close()
    }
}
