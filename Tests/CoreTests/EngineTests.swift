import Tally
import TallyTestSupport
import Testing

@Suite struct EngineTests {
    @Test("records sent are consumed in order per partition, also after reopening")
    func roundTrip() async throws {
        let directory = try TemporaryDirectory()
        var engine = try await Engine.open(at: directory.path + "/data")
        try await engine.createTopic("events", partitions: 3)
        let producer = try engine.producer()
        var sent: [Int32: [String]] = [:]
        for number in 0..<100 {
            let metadata = try await producer.send(
                key: "key \(number % 7)", value: "value \(number)", to: "events")
            #expect(metadata.offset.rawValue == Int64(sent[metadata.partition]?.count ?? 0))
            sent[metadata.partition, default: []].append("value \(number)")
        }
        for round in 0..<2 {
            var configuration = ConsumerConfiguration()
            configuration.end = .currentEnd
            configuration.fetchBytesMax = 500
            var received: [Int32: [String]] = [:]
            for try await records in try engine.consumer(of: "events", configuration) {
                try records.forEachRecord { record in
                    let value = String(decoding: bytes(of: record.value), as: UTF8.self)
                    received[records.partition, default: []].append(value)
                }
            }
            #expect(received == sent)
            try await engine.close()
            if round == 0 { engine = try await Engine.open(at: directory.path + "/data") }
        }
    }

    @Test("a second engine on a directory is told who holds it")
    func secondEngine() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        await #expect(throws: EngineError.self) { try await Engine.open(at: directory.path) }
        try await engine.close()
        try await Engine.open(at: directory.path).close()
    }

    @Test("a consumer that follows the log wakes when something arrives")
    func following() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("events", partitions: 4)
        let producer = try engine.producer()
        let consumer = try engine.consumer(of: "events")
        let task = Task {
            var count = 0
            for try await records in consumer {
                try records.forEachRecord { _ in count += 1 }
                if count == 50 { break }
            }
            return count
        }
        for number in 0..<50 {
            _ = try await producer.send(key: nil, value: "\(number)", to: "events")
            if number % 10 == 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
        #expect(try await task.value == 50)
        try await engine.close()
    }
}

func bytes(of span: RawSpan?) -> [UInt8] {
    guard let span else { return [] }
    return (0..<span.byteCount).map { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
}
