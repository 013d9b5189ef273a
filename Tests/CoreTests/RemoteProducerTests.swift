import Synchronization
import TallyRecords
import TallyTestSupport
import Testing

@testable import Tally

/// A cluster that answers as a test says. Thread rule: used by one test.
final class ScriptedCluster: RemoteCluster {
    /// What becomes of an attempt; nil appends it.
    typealias Script = @Sendable (_ attempt: Int, _ batch: RecordBatchHeader) -> RemoteAppend?

    /// What came, as it came.
    let attempts = Mutex<[RecordBatchHeader]>([])
    /// What was appended: each batch once, as partitions with sequence numbers have it.
    let stored = Mutex<[RecordBatchHeader]>([])
    private let producerCount = Mutex<Int64>(0)
    private let script: Script

    init(_ script: @escaping Script) { self.script = script }

    func describeTopic(_ name: String) async throws -> RemoteTopic {
        guard name == "a" else { throw EngineError.unknownTopic(name: name, known: ["a"]) }
        return RemoteTopic(id: nil, partitionCount: 1)
    }

    func newProducer() async throws -> ProducerIdentity {
        let id = producerCount.withLock { count in
            count += 1
            return count
        }
        return ProducerIdentity(id: id, epoch: 0)
    }

    func append(_ batch: RemoteBatch) async -> RemoteAppend {
        guard let header = try? RecordBatchHeader(decoding: batch.bytes.rawSpan) else {
            return .refused(EngineError.closed)
        }
        let attempt = attempts.withLock { attempts in
            attempts.append(header)
            return attempts.count
        }
        return script(attempt, header) ?? store(header)
    }

    func store(_ header: RecordBatchHeader) -> RemoteAppend {
        stored.withLock { stored in
            let known = stored.firstIndex {
                $0.producerID == header.producerID && $0.baseSequence == header.baseSequence
            }
            if known == nil { stored.append(header) }
            let before = stored[..<(known ?? stored.count - 1)]
            let offset = before.reduce(0) { $0 + Int64($1.recordCount) }
            return .appended(baseOffset: Offset(offset), logAppendTime: nil)
        }
    }

    func offsets(
        of partitions: Set<TopicPartition>, at place: StartingPosition, isolation: IsolationLevel
    ) async throws -> [TopicPartition: OffsetAndTimestamp] { [:] }

    func fetcher(_ configuration: ConsumerConfiguration) -> any RemoteFetcher { NoFetcher() }

    func groups() -> any RemoteGroups { fatalError("no groups here") }

    func transactions(of transactionalID: String) -> any RemoteTransactions {
        fatalError("no transactions here")
    }

    func close() async {}

    private final class NoFetcher: RemoteFetcher {
        func read(_ partition: TopicPartition, from offset: Offset) async {}
        func stop(_ partition: TopicPartition) async {}
        func next() async throws -> [RemoteFetch] { [] }
        func nudge() {}
        func close() async {}
    }
}

/// What a producer does about a cluster that does not do as it is asked.
@Suite("Producers on a cluster", .timeLimit(.minutes(1))) struct RemoteProducerTests {
    private struct Trouble: Error {}

    private func producer(
        _ cluster: ScriptedCluster, _ change: (inout ProducerConfiguration) -> Void = { _ in }
    ) throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.retryBackoffMilliseconds = 1
        change(&configuration)
        return try Backend(cluster).producer(configuration)
    }

    @Test("a batch whose fate is not known is sent again under its numbers, and is there once")
    func sentAgain() async throws {
        // The first is stored, and its answer is lost.
        let box = Mutex<ScriptedCluster?>(nil)
        let cluster = ScriptedCluster { attempt, header in
            guard attempt == 1 else { return nil }
            _ = box.withLock { $0 }?.store(header)
            return .retry(Trouble(), mayBeStored: true)
        }
        box.withLock { $0 = cluster }
        let producer = try producer(cluster)
        #expect(try await producer.send(key: nil, value: "0", to: "a").offset == .zero)
        #expect(try await producer.send(key: nil, value: "1", to: "a").offset == Offset(1))
        #expect(cluster.attempts.withLock { $0.map(\.baseSequence) } == [0, 0, 1])
        #expect(cluster.stored.withLock { $0.count } == 2)
        box.withLock { $0 = nil }
    }

    @Test("order stays while batches are tried again")
    func order() async throws {
        let cluster = ScriptedCluster { attempt, _ in
            attempt % 3 == 0 ? .retry(Trouble(), mayBeStored: attempt % 2 == 0) : nil
        }
        let producer = try producer(cluster)
        let value = [UInt8](repeating: 1, count: 1000)
        for token in 0..<200 {
            try producer.enqueue(
                topic: "a", key: nil, value: value.span.bytes, token: UInt64(token))
            if token % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        try await producer.flush()
        let sequences = cluster.stored.withLock { $0.map(\.baseSequence) }
        #expect(sequences == sequences.sorted() && sequences.count > 5)
        #expect(cluster.stored.withLock { $0.reduce(0) { $0 + $1.recordCount } } == 200)
        #expect(Set(cluster.stored.withLock { $0.map(\.producerID) }) == [1])
    }

    @Test("a partition that has forgotten the producer gets the batch from a new one")
    func forgotten() async throws {
        let cluster = ScriptedCluster { attempt, _ in
            attempt == 2 ? .unknownProducer(Trouble()) : nil
        }
        let producer = try producer(cluster)
        for number in 0..<3 { _ = try await producer.send(key: nil, value: "\(number)", to: "a") }
        let seen = cluster.attempts.withLock { $0.map { [$0.producerID, Int64($0.baseSequence)] } }
        #expect(seen == [[1, 0], [1, 1], [2, 0], [2, 1]])
    }

    @Test("forgotten in doubt, the batch has failed, and what comes next goes on")
    func forgottenInDoubt() async throws {
        let cluster = ScriptedCluster { attempt, _ in
            switch attempt {
            case 1: .retry(Trouble(), mayBeStored: true)
            case 2: .unknownProducer(Trouble())
            default: nil
            }
        }
        let producer = try producer(cluster)
        await #expect(throws: Trouble.self) {
            try await producer.send(key: nil, value: "0", to: "a")
        }
        _ = try await producer.send(key: nil, value: "1", to: "a")
        #expect(cluster.stored.withLock { $0.map(\.producerID) } == [2])
    }

    @Test("a batch that is refused uses no numbers up")
    func refused() async throws {
        let cluster = ScriptedCluster { attempt, _ in attempt == 2 ? .refused(Trouble()) : nil }
        let producer = try producer(cluster)
        _ = try await producer.send(key: nil, value: "0", to: "a")
        await #expect(throws: Trouble.self) {
            try await producer.send(key: nil, value: "1", to: "a")
        }
        _ = try await producer.send(key: nil, value: "2", to: "a")
        #expect(cluster.attempts.withLock { $0.map(\.baseSequence) } == [0, 1, 1])
    }

    @Test("delivery.timeout.ms ends trying, and says whether the record may be stored")
    func timeout() async throws {
        let cluster = ScriptedCluster { attempt, _ in
            .retry(Trouble(), mayBeStored: attempt > 100_000)
        }
        let producer = try producer(cluster) { $0.deliveryTimeoutMilliseconds = 50 }
        do {
            _ = try await producer.send(key: nil, value: "0", to: "a")
            Issue.record("it was sent")
        } catch EngineError.deliveryTimeout(_, let milliseconds, let mayBeStored) {
            #expect(milliseconds == 50 && !mayBeStored)
        }
    }

    @Test("records for a topic that is not there fail one by one, and a flush tells")
    func unknownTopic() async throws {
        let cluster = ScriptedCluster { _, _ in nil }
        let producer = try producer(cluster)
        let reports = producer.deliveryReports()
        let value: [UInt8] = [1]
        try producer.enqueue(topic: "b", key: nil, value: value.span.bytes, token: 7)
        await #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try await producer.flush()
        }
        var iterator = reports.makeAsyncIterator()
        let report = try #require(try await iterator.next()?.first)
        #expect(report.topic == "b" && report.error is EngineError)
        #expect(report.records == [DeliveryReport.Record(token: 7, offset: nil)])
        #expect(producer.pendingByteCount == 0)
    }

    @Test("a record that is too large is refused, and takes no other with it")
    func tooLarge() async throws {
        let cluster = ScriptedCluster { _, _ in nil }
        let producer = try producer(cluster) { $0.requestBytesMax = 1000 }
        _ = try await producer.send(key: nil, value: "0", to: "a")
        await #expect(throws: EngineError.self) {
            try await producer.send(
                key: nil, value: String(repeating: "x", count: 2000), to: "a")
        }
        #expect(try await producer.send(key: nil, value: "1", to: "a").offset == Offset(1))
    }

    @Test("a linger gathers records into one batch")
    func linger() async throws {
        let cluster = ScriptedCluster { _, _ in nil }
        let producer = try producer(cluster) { $0.lingerMilliseconds = 20 }
        let outcomes = await producer.send(
            (0..<10).map { ProducerRecord(topic: "a", key: nil, value: "\($0)") })
        #expect(outcomes.compactMap { try? $0.get().offset.rawValue } == Array(0..<10))
        #expect(cluster.stored.withLock { $0.count } == 1)
    }
}
