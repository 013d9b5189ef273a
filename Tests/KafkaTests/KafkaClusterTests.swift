import Foundation
import Synchronization
import Tally
import TallyKafka
import TallyServed
import TallyTestSupport
import Testing

/// A cluster that fails, moves and comes back.
@Suite("A cluster behind a backend", .timeLimit(.minutes(5))) struct KafkaClusterTests {
    @Test("a server that goes away in the middle and comes back gets every record once, in order")
    func restarts() async throws {
        try await ServedEngine.withState { served in
            try await served.engine.createTopic("a", partitions: 3)
            let backend = try Backend.kafka(bootstrap: served.address)
            let producer = try backend.producer()
            let isDone = Mutex(false)
            let restarting = Task {
                while !isDone.withLock({ $0 }) {
                    try await Task.sleep(for: .milliseconds(60))
                    await served.stop()
                    try await Task.sleep(for: .milliseconds(30))
                    try await served.start()
                }
            }
            let large = String(repeating: "x", count: 2000)
            for number in 0..<1500 {
                let value = Array("\(number) \(large)".utf8)
                try producer.enqueue(
                    topic: "a", partition: Int32(number % 3), key: nil, value: value.span.bytes)
                if number % 50 == 0 { try await Task.sleep(for: .milliseconds(10)) }
            }
            try await producer.flush()
            isDone.withLock { $0 = true }
            try await restarting.value
            let read = try await values(of: "a", in: backend)
            for partition in 0..<3 {
                let numbers = read[Int32(partition)]?.compactMap { Int($0.prefix { $0 != " " }) }
                #expect(numbers == Array(stride(from: partition, to: 1500, by: 3)))
            }
            try await backend.close()
        }
    }

    @Test("a consumer reads on when the server comes back")
    func consumerRestarts() async throws {
        try await ServedEngine.withState { served in
            try await served.engine.createTopic("a", partitions: 1)
            let backend = try Backend.kafka(bootstrap: served.address)
            let producer = try served.engine.producer()
            let consumer = try backend.consumer(
                assigning: [TopicPartition(topic: "a", partition: 0)])
            var iterator = consumer.records.makeAsyncIterator()
            for number in 0..<5 {
                _ = try await producer.send(key: nil, value: "\(number)", to: "a")
                #expect(try await iterator.next()?.valueText == "\(number)")
                await served.stop()
                try await served.start()
            }
            try await backend.close()
        }
    }

    @Test(
        "several brokers whose leaders move, and errors of all sorts",
        .enabled(if: MockCluster.isAvailable))
    func mockCluster() async throws {
        let mock = try MockCluster(brokers: 3, topics: ["t": 4])
        for partition in 0..<4 { try mock.tell("leader t \(partition) \(partition % 3 + 1)") }
        let backend = try Backend.kafka(bootstrap: mock.addresses.joined(separator: ","))
        let producer = try backend.producer()
        // NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS, LEADER_NOT_AVAILABLE
        for (round, code) in [6, 7, 19, 5].enumerated() {
            try mock.tell("error 0 \(code) 1")
            for number in 0..<40 {
                let value = Array("\(round * 40 + number)".utf8)
                try producer.enqueue(
                    topic: "t", partition: Int32(number % 4), key: nil, value: value.span.bytes)
            }
            try mock.tell("leader t \(round) \((round + 1) % 3 + 1)")
            try await producer.flush()
        }
        let read = try await values(of: "t", in: backend)
        for partition in 0..<4 {
            let numbers = read[Int32(partition)]?.compactMap { Int($0) } ?? []
            #expect(numbers == Array(stride(from: partition, to: 160, by: 4)), "\(partition)")
        }
        try await backend.close()
    }

    @Test("an address that is none is said at once; nobody there, after the time that was given")
    func noCluster() async throws {
        for wrong in ["", "nonsense", "a:b", "a:0", "a:1,", ":9092"] {
            #expect(throws: EngineError.self) { try Backend.kafka(bootstrap: wrong) }
        }
        var settings = KafkaSettings()
        settings.apiTimeoutMilliseconds = 200
        let backend = try Backend.kafka(bootstrap: "127.0.0.1:1", settings)
        await #expect(throws: KafkaError.self) { try await backend.partitions(ofTopic: "a") }
        var configuration = ProducerConfiguration()
        configuration.deliveryTimeoutMilliseconds = 300
        let producer = try backend.producer(configuration)
        await #expect(throws: KafkaError.self) {
            try await producer.send(key: nil, value: "x", to: "a")
        }
        try await backend.close()
    }
}
