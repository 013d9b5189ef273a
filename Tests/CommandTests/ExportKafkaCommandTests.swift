import Foundation
import Tally
import TallyClient
import TallyCommand
import TallyTestSupport
import Testing

/// From a data directory to a cluster: `place.data` is what is exported, a ``SourceCluster`` (a
/// Tally that serves) or the mock cluster is where it goes.
@Suite("tally export kafka", .timeLimit(.minutes(10))) struct ExportKafkaCommandTests {
    /// What reaches a reader of a topic, by partition: all but offsets.
    private struct Seen: Hashable {
        var key: [UInt8]?
        var value: [UInt8]?
        var timestamp: Int64
        var headers: [RecordHeader]
        var codec: Codec
    }

    private func seen(_ topic: String, in engine: Engine) async throws -> [Int32: [Seen]] {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = .readCommitted
        var seen: [Int32: [Seen]] = [:]
        for try await fetched in try engine.consumer(of: topic, configuration) {
            var decoder = RecordDecoder()
            let start = fetched.startOffset
            try fetched.forEachBatch { batch in
                guard !batch.header.attributes.isControl else { return }
                let codec = batch.header.codec
                try decoder.forEachRecord(in: batch) { record in
                    guard record.offset >= start else { return }
                    var headers: [RecordHeader] = []
                    var cursor = record.headers
                    while let header = try cursor.next() {
                        let name = (0..<header.key.byteCount).map {
                            header.key.bigEndian(at: $0, as: UInt8.self)
                        }
                        headers.append(
                            RecordHeader(name: String(decoding: name, as: UTF8.self), value: nil))
                    }
                    seen[fetched.partition, default: []].append(
                        Seen(
                            key: record.keyBytes, value: record.valueBytes,
                            timestamp: record.timestamp.rawValue, headers: headers, codec: codec))
                }
            }
        }
        return seen
    }

    private func expectSame(
        _ topics: [String], _ place: CommandWorkplace, _ target: SourceCluster
    ) async throws {
        try await withEngine(at: place.data) { engine in
            for topic in topics {
                let (here, there) = (
                    try await seen(topic, in: engine), try await seen(topic, in: target.engine)
                )
                #expect(here == there && !here.isEmpty, "\(topic)")
            }
        }
    }

    /// Two topics: codecs, nulls, headers, old times, transactions that ended both ways, markers, a
    /// log that begins late, and a group in the middle.
    private func fill(_ place: CommandWorkplace) async throws {
        try await withEngine(at: place.data) { engine in
            try await engine.createTopic(
                "orders", partitions: 3,
                configuration: try TopicConfiguration([
                    "retention.ms": "-1", "segment.bytes": "4000", "tally.durability": "buffered",
                ]))
            try await engine.createTopic(
                "stock", partitions: 2,
                configuration: try TopicConfiguration(["cleanup.policy": "compact"]))
            for codec in Codec.allCases where codec.isSupported {
                var configuration = ProducerConfiguration()
                configuration.compression = codec
                let producer = try engine.producer(configuration)
                for number in 0..<40 {
                    let headers =
                        number % 3 == 0 ? [RecordHeader(name: "n", value: [1])] : []
                    let key = Array("key \(number)".utf8)
                    try producer.enqueue(
                        topic: "orders", partition: Int32(number % 3),
                        key: number % 5 == 0 ? nil : key.span.bytes,
                        value: number % 7 == 0 ? nil : key.span.bytes,
                        timestamp: Timestamp(milliseconds: Int64(number) * 1000),
                        headers: headers)
                    try producer.enqueue(
                        topic: "stock", key: key.span.bytes, value: key.span.bytes)
                }
                try await producer.flush()
            }
            var configuration = ProducerConfiguration()
            configuration.transactionalID = "t"
            let producer = try engine.producer(configuration)
            try await producer.initTransactions()
            for number in 0..<4 {
                try producer.beginTransaction()
                for partition in 0..<Int32(3) {
                    _ = try await producer.send(
                        ProducerRecord(
                            topic: "orders", partition: partition, key: "t", value: "\(number)"))
                }
                if number % 2 == 0 {
                    try await producer.commitTransaction()
                } else {
                    try await producer.abortTransaction()
                }
            }
            try await engine.deleteRecords(ofTopic: "orders", partition: 1, before: Offset(5))
            let committed: [(Int32, Int64)] = [(0, 20), (1, 2), (2, 60)]
            try await engine.commitOffsets(
                Dictionary(
                    uniqueKeysWithValues: committed.map { partition, offset in
                        (
                            TopicPartition(topic: "orders", partition: partition),
                            OffsetToCommit(offset: Offset(offset), metadata: "at \(offset)")
                        )
                    }), ofGroup: "billing")
        }
    }

    private func export(
        _ place: CommandWorkplace, _ target: SourceCluster, _ more: String...
    ) throws -> CommandRun {
        let topics = more.contains("--all") ? [] : ["--topics", "orders,stock"]
        return try place.run(
            ["export", "kafka", "--to", target.address] + topics + more, input: [])
    }

    /// Appends to a topic of the directory.
    private func append(_ count: Int, to topic: String, _ place: CommandWorkplace) async throws {
        try await withEngine(at: place.data) { engine in
            let producer = try engine.producer()
            let value = Array("later".utf8)
            for number in 0..<count {
                let key = Array("later \(number)".utf8)
                try producer.enqueue(topic: topic, key: key.span.bytes, value: value.span.bytes)
            }
            try await producer.flush()
        }
    }

    @Test("records go as they are, to topics with the same settings, and groups to the same record")
    func everything() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            let run = try export(place, target, "--groups", "billing,nobody", "--verify")
            #expect(run.exitCode == 0, "\(run)")
            #expect(run.output.contains("Topic orders: 3 partitions"), "\(run)")
            #expect(run.output.contains("Group billing: 3 committed offsets."))
            #expect(run.output.contains("Read again, "))
            #expect(run.errors.contains("Group nobody has committed nothing"))
            try await expectSame(["orders", "stock"], place, target)
            let orders = try target.engine.describeTopic("orders").configuration.values
            #expect(orders == ["retention.ms": "-1", "segment.bytes": "4000"])
            let stock = try target.engine.describeTopic("stock").configuration.values
            #expect(stock == ["cleanup.policy": "compact"])
            try await expectSameNext("billing", place, target)
        }
    }

    /// The next record that a group reads is the same at both sides.
    private func expectSameNext(
        _ group: String, _ place: CommandWorkplace, _ target: SourceCluster
    ) async throws {
        try await withEngine(at: place.data) { engine in
            let here = try await engine.committedOffsets(ofGroup: group)
            let there = try await target.engine.committedOffsets(ofGroup: group)
            #expect(here.count == there.count && !here.isEmpty)
            for (id, offset) in here {
                let moved = try #require(there[id])
                #expect(moved.metadata == offset.metadata)
                let start = try await engine.beginningOffsets(of: [id])[id] ?? .zero
                let mine = try await next(id, max(offset.offset, start), in: engine)
                let theirs = try await next(id, moved.offset, in: target.engine)
                #expect(mine != nil && mine == theirs, "\(id)")
            }
        }
    }

    private func next(
        _ id: TopicPartition, _ offset: Offset, in engine: Engine
    ) async throws -> [String?]? {
        var configuration = ConsumerConfiguration(start: .offset(offset), end: .currentEnd)
        configuration.isolation = .readCommitted
        for try await record in try engine.consumer(assigning: [id], configuration).records {
            return [record.keyText, record.valueText, "\(record.timestamp)"]
        }
        return nil
    }

    @Test("given again it sends what is new, and nothing twice; a group that went on stays there")
    func again() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            #expect(try export(place, target, "--groups", "billing").exitCode == 0)
            let nothing = try export(place, target, "--verify")
            #expect(nothing.exitCode == 0, "\(nothing)")
            #expect(nothing.output.contains("Exported 0 records"), "\(nothing)")
            try await append(20, to: "orders", place)
            let further = TopicPartition(topic: "orders", partition: 0)
            try await target.engine.commitOffsets(
                [further: OffsetToCommit(offset: Offset(70))], ofGroup: "billing")
            let more = try export(place, target, "--groups", "billing")
            #expect(more.exitCode == 0 && more.output.contains("Exported 20 records"), "\(more)")
            #expect(more.errors.contains("it is left there"))
            let stands = try await target.engine.committedOffsets(ofGroup: "billing")
            #expect(stands[further]?.offset == Offset(70))
            try await expectSame(["orders", "stock"], place, target)
            let all = try export(place, target, "--all")
            #expect(all.exitCode == 0 && all.output.contains("Exported 0 records"), "\(all)")
        }
    }

    @Test("what was sent and not noted is found by what it is, and not sent again")
    func lostNote() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            #expect(try export(place, target).exitCode == 0)
            let notes = URL(fileURLWithPath: place.data + "/kafka-exports.json")
            let early = try Data(contentsOf: notes)
            try await append(30, to: "orders", place)
            #expect(try export(place, target).exitCode == 0)
            // As a crash between an acknowledgement and its note leaves it.
            try early.write(to: notes)
            let run = try export(place, target, "--verify")
            #expect(run.exitCode == 0 && run.output.contains("Exported 0 records"), "\(run)")
            try await expectSame(["orders", "stock"], place, target)
            // Without any note nothing tells what was exported.
            try FileManager.default.removeItem(at: notes)
            let lost = try export(place, target)
            #expect(lost.exitCode == 1, "\(lost)")
            #expect(lost.errors.contains("were not exported from here"))
            try Data("{\"version\":7}".utf8).write(to: notes)
            let damaged = try export(place, target)
            #expect(damaged.exitCode == 1 && damaged.errors.contains("kafka-exports.json"))
        }
    }

    @Test("where somebody else has written, nothing more is sent, and that is said")
    func foreignWriter() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            #expect(try export(place, target).exitCode == 0)
            try target.append(["stranger"], to: "orders", partition: 1)
            try await append(30, to: "orders", place)
            let before = try await seen("orders", in: target.engine)[1]
            let run = try export(place, target)
            #expect(run.exitCode == 1 && run.errors.contains("somebody else"), "\(run)")
            #expect(try await seen("orders", in: target.engine)[1] == before)
            try await target.engine.deleteTopic("orders")
            let anew = try export(place, target, "--verify")
            #expect(anew.exitCode == 0 && anew.errors.contains("exported anew"), "\(anew)")
            try await expectSame(["orders", "stock"], place, target)
        }
    }

    @Test("a difference is found by --verify, wherever it is")
    func verified() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            #expect(try export(place, target).exitCode == 0)
            // All records again, the second with another value: nothing else tells of it.
            var builder = try RecordBatchBuilder()
            let consumer = try target.engine.consumer(
                of: "stock", partitions: [0], ConsumerConfiguration(end: .currentEnd))
            for try await record in consumer.records {
                let value = record.offset == Offset(1) ? [0] : record.value ?? []
                let key = record.key ?? []
                try builder.append(
                    key: key.span.bytes, value: value.span.bytes, timestamp: record.timestamp)
            }
            var bytes: [UInt8] = []
            bytes.append(try builder.finish())
            let log = try target.engine.partition(0, of: "stock").log
            _ = try log.truncate(to: Offset(0)) {}
            _ = try bytes.withMutableRawSpan { bytes in
                try log.append(&bytes, from: .outside, now: .now)
            }
            try log.flush()
            #expect(try export(place, target).exitCode == 0)
            let run = try export(place, target, "--verify")
            #expect(run.exitCode == 1 && run.errors.contains("stock-0: at offset 1"), "\(run)")
        }
    }

    @Test("what cannot be is said: partitions differ, records are there, nobody is there")
    func refusals() async throws {
        try await SourceCluster.with { target, place in
            try await fill(place)
            try await target.engine.createTopic("orders", partitions: 4)
            let differ = try export(place, target)
            #expect(differ.exitCode == 1 && differ.errors.contains("3 partitions here and 4"))
            try await target.engine.deleteTopic("orders")
            try await target.engine.createTopic("orders", partitions: 3)
            try target.append(["own"], to: "orders", partition: 2)
            let full = try export(place, target)
            #expect(full.exitCode == 1, "\(full)")
            #expect(full.errors.contains("orders-2 has records"), "\(full)")
            try await target.engine.deleteTopic("orders")
            try await target.engine.createTopic(
                "orders", partitions: 3,
                configuration: try TopicConfiguration(["message.timestamp.type": "LogAppendTime"]))
            let times = try export(place, target)
            #expect(times.exitCode == 1 && times.errors.contains("lose their times"), "\(times)")
            let unknown = try place.run(
                "export", "kafka", "--to", target.address, "--topics", "nope")
            #expect(unknown.exitCode == ExitCodes.noInput, "\(unknown)")
            let usage = try place.run("export", "kafka", "--to", target.address)
            #expect(usage.exitCode == ExitCodes.usage)
            try await withEngine(at: place.data) { _ in
                let used = try export(place, target)
                #expect(used.exitCode == 1 && used.errors.contains("in use"), "\(used)")
            }
            await target.stop()
            let began = ContinuousClock.now
            let refused = try export(place, target)
            #expect(refused.exitCode == 1 && refused.errors.contains("refused"), "\(refused)")
            #expect(ContinuousClock.now - began < .seconds(20))
            let nowhere = try CommandRun.program(
                "export", "kafka", "--to", "127.0.0.1:1", "--all", "--data", "/nowhere/at/all")
            #expect(nowhere.exitCode == ExitCodes.noInput)
        }
    }

    @Test("a transaction that has not ended holds back what lies behind it")
    func openTransaction() async throws {
        try await SourceCluster.with { target, place in
            try await withEngine(at: place.data) { engine in
                try await engine.createTopic("orders", partitions: 1)
                try await engine.createTopic("stock", partitions: 1)
                let log = try engine.partition(0, of: "orders").log
                for number in 0..<3 {
                    var builder = try RecordBatchBuilder()
                    try builder.append(key: nil, value: nil, timestamp: .now)
                    var bytes: [UInt8] = []
                    let producer = BatchProducer(id: 9, epoch: 0, baseSequence: 0)
                    let isOpen = number == 1
                    bytes.append(
                        try builder.finish(
                            producer: isOpen ? producer : .none, isTransactional: isOpen))
                    _ = try bytes.withMutableRawSpan { bytes in
                        try log.append(&bytes, from: .outside, now: .now)
                    }
                }
                try log.flush()
            }
            let run = try export(place, target)
            #expect(run.exitCode == 0 && run.output.contains("Exported 1 record,"), "\(run)")
            #expect(run.errors.contains("begins at offset 1"), "\(run)")
            try await withEngine(at: place.data) { engine in
                _ = try await engine.abortTransaction(
                    topic: "orders", partition: 0, producerID: 9)
            }
            let rest = try export(place, target, "--verify")
            #expect(rest.exitCode == 0 && rest.output.contains("Exported 1 record,"), "\(rest)")
        }
    }
}
