import Tally
import TallyClient
import TallyRecords
import TallyServed
import TallyTestSupport
import TallyWire
import Testing

@Suite("Reading partitions of a cluster", .timeLimit(.minutes(5))) struct LogReaderTests {
    private func id(_ topic: String, _ partition: Int32 = 0) -> TopicPartition {
        TopicPartition(topic: topic, partition: partition)
    }

    /// Reads until each partition has so many bytes.
    private func read(
        _ reader: LogReader, bytes wanted: [TopicPartition: Int]
    ) async throws -> [TopicPartition: [UInt8]] {
        var found: [TopicPartition: [UInt8]] = [:]
        while wanted.contains(where: { found[$0.key]?.count ?? 0 < $0.value }) {
            for case .fetched(let fetched) in try await reader.next() {
                found[fetched.partition, default: []] += fetched.batches
            }
        }
        return found
    }

    @Test(
        "batches come byte for byte as they lie in the log, of many partitions at once",
        arguments: [Int32(1), 700, 1 << 20])
    func bytes(partitionBytesMax: Int32) async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic("a", partitions: 5)
            try await engine.createTopic("b", partitions: 1)
            for partition in 0..<5 {
                let batches = try (0..<20).map { number in
                    try batch(
                        (0...partition).map { "\(partition) \(number) \($0)" },
                        codec: number % 3 == 0 ? .lz4 : .none)
                }
                try engine.append(batches, to: "a", partition: Int32(partition))
            }
            try engine.append([try batch(["one"])], to: "b")
            var settings = LogReaderConfiguration()
            settings.partitionBytesMax = partitionBytesMax
            let reader = LogReader(served.cluster(), configuration: settings)
            var expected: [TopicPartition: [UInt8]] = [:]
            for partition in 0..<Int32(5) {
                await reader.read(id("a", partition), from: .zero)
                expected[id("a", partition)] = try engine.bytes(of: "a", partition: partition)
            }
            await reader.read(id("b"), from: .zero)
            expected[id("b")] = try engine.bytes(of: "b")
            #expect(try await read(reader, bytes: expected.mapValues(\.count)) == expected)
            #expect(await reader.offsets[id("a", 4)] == Offset(100))
        }
    }

    @Test("an answer tells where the partition begins and ends, and what comes later comes later")
    func ends() async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic("a", partitions: 1)
            try engine.append([try batch(["1", "2"]), try batch(["3"])], to: "a")
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(1))
            let reader = LogReader(served.cluster())
            await reader.read(id("a"), from: Offset(1))
            let first = try await reader.next()
            guard case .fetched(let fetched)? = first.first else {
                Issue.record("\(first)")
                return
            }
            #expect(fetched.highWatermark == Offset(3) && fetched.lastStableOffset == Offset(3))
            #expect(fetched.logStart == Offset(1) && fetched.nextOffset == Offset(3))
            #expect(fetched.batches.elementsEqual(try engine.bytes(of: "a", from: Offset(1))))
            let later = Task {
                try await Task.sleep(for: .milliseconds(200))
                try engine.append([try batch(["4"])], to: "a")
            }
            let next = try await read(reader, bytes: [id("a"): 1])
            #expect(next[id("a")] == (try engine.bytes(of: "a", from: Offset(3))))
            try await later.value
        }
    }

    @Test("readers of committed records end before an open transaction, and hear what was aborted")
    func committed() async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic("a", partitions: 1)
            let log = try engine.partition(0, of: "a").log
            func send(_ id: Int64, _ value: String) throws {
                try engine.append(
                    [
                        try batch(
                            [value], producer: BatchProducer(id: id, epoch: 0, baseSequence: 0),
                            isTransactional: true)
                    ], to: "a")
            }
            try send(1, "aborted")
            _ = try log.append(
                TransactionMarker(
                    didCommit: false, producerID: 1, producerEpoch: 0, coordinatorEpoch: 0),
                now: .now)
            try send(2, "open")
            try log.flush()
            var settings = LogReaderConfiguration()
            settings.isCommitted = true
            let reader = LogReader(served.cluster(), configuration: settings)
            await reader.read(id("a"), from: .zero)
            let events = try await reader.next()
            guard case .fetched(let fetched)? = events.first else {
                Issue.record("\(events)")
                return
            }
            #expect(fetched.nextOffset == Offset(2) && fetched.lastStableOffset == Offset(2))
            #expect(fetched.highWatermark == Offset(3))
            #expect(
                fetched.abortedTransactions.map(\.producerID) == [1])
        }
    }

    @Test("what was asked for before a partition was stopped is no answer once it is read again")
    func readAgain() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("a", partitions: 1)
            try served.engine.append(try (0..<5).map { try batch(["\($0)"]) }, to: "a")
            var settings = LogReaderConfiguration()
            settings.waitMilliseconds = 20_000
            let reader = LogReader(served.cluster(), configuration: settings)
            await reader.read(id("a"), from: Offset(5))
            let first = Task {
                while true {
                    for case .fetched(let fetched) in try await reader.next()
                    where !fetched.batches.isEmpty {
                        let head = Array(fetched.batches.prefix(RecordBatchHeader.byteCount))
                        return try RecordBatchHeader(decoding: head.rawSpan).baseOffset
                    }
                }
            }
            // A request for what comes behind all there is waits at the server.
            try await Task.sleep(for: .milliseconds(300))
            await reader.stop(id("a"))
            await reader.read(id("a"), from: Offset(2))
            try served.engine.append([try batch(["5"])], to: "a")
            #expect(try await first.value == Offset(2))
            await reader.close()
        }
    }

    @Test("an offset that is not there is told of once, and others are read on")
    func outOfRange() async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic("a", partitions: 2)
            try engine.append([try batch(["1"])], to: "a", partition: 0)
            try engine.append([try batch(["2"])], to: "a", partition: 1)
            let reader = LogReader(served.cluster())
            await reader.read(id("a", 0), from: Offset(500))
            await reader.read(id("a", 1), from: .zero)
            var lost: [LogReaderEvent] = []
            var found: [TopicPartition: [UInt8]] = [:]
            while lost.isEmpty || found[id("a", 1)] == nil {
                for event in try await reader.next() {
                    if case .fetched(let fetched) = event {
                        guard !fetched.batches.isEmpty else { continue }
                        found[fetched.partition] = Array(fetched.batches)
                    } else {
                        lost.append(event)
                    }
                }
            }
            #expect(lost == [.outOfRange(id("a", 0), requested: Offset(500))])
            await reader.read(id("a", 0), from: .zero)
            let next = try await read(reader, bytes: [id("a", 0): 1])
            #expect(next[id("a", 0)] == (try engine.bytes(of: "a", partition: 0)))
        }
    }

    @Test("a server that goes in the middle and comes back is read on, with nothing twice")
    func serverRestarts() async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic("a", partitions: 1)
            try engine.append((0..<100).map { try batch(["first \($0)"]) }, to: "a")
            var settings = LogReaderConfiguration()
            settings.partitionBytesMax = 300
            let reader = LogReader(served.cluster(), configuration: settings)
            await reader.read(id("a"), from: .zero)
            let reading = Task { () -> [UInt8] in
                var bytes: [UInt8] = []
                var next = Offset.zero
                while next < Offset(200) {
                    for case .fetched(let fetched) in try await reader.next() {
                        bytes += fetched.batches
                        next = fetched.nextOffset
                    }
                }
                return bytes
            }
            for round in 0..<3 {
                try await Task.sleep(for: .milliseconds(50))
                await served.stop()
                if round == 1 {
                    try engine.append((0..<100).map { try batch(["second \($0)"]) }, to: "a")
                }
                try await Task.sleep(for: .milliseconds(100))
                try await served.start()
            }
            #expect(try await reading.value == (try engine.bytes(of: "a")))
        }
    }

    @Test("a topic that was deleted and made again is not taken for the one that was read")
    func madeAgain() async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic("a", partitions: 1)
            try engine.append([try batch(["old"])], to: "a")
            var settings = LogReaderConfiguration()
            settings.waitMilliseconds = 20
            let reader = LogReader(served.cluster(), configuration: settings)
            await reader.read(id("a"), from: .zero)
            _ = try await read(reader, bytes: [id("a"): 1])
            try await engine.deleteTopic("a")
            try await engine.createTopic("a", partitions: 1)
            try engine.append([try batch(["new"]), try batch(["new"])], to: "a")
            var isTold = false
            while !isTold {
                for event in try await reader.next() {
                    if case .fetched(let fetched) = event { #expect(fetched.batches.isEmpty) }
                    if event == .replaced(id("a")) { isTold = true }
                }
            }
            #expect(try await reader.next().isEmpty)
        }
    }

    @Test(
        "partitions that several brokers lead are read through moves and failures",
        .enabled(if: MockCluster.isAvailable))
    func moves() async throws {
        let mock = try MockCluster(brokers: 3, topics: ["t": 6])
        for partition in 0..<6 { try mock.tell("leader t \(partition) \(partition % 3 + 1)") }
        let cluster = mock.cluster()
        let reader = LogReader(cluster)
        for partition in 0..<Int32(6) { await reader.read(id("t", partition), from: .zero) }
        for round in 0..<20 {
            for partition in 0..<Int32(6) {
                try await produce("\(round)", to: id("t", partition), on: cluster)
            }
            switch round {
            case 3: for partition in 0..<6 { try mock.tell("leader t \(partition) 1") }
            case 7: for partition in 0..<6 { try mock.tell("leader t \(partition) 3") }
            case 11: try mock.tell("error 1 6 3")
            case 14: try mock.tell("down 2")
            default: break
            }
        }
        var counts: [TopicPartition: Int64] = [:]
        while counts.count < 6 || counts.contains(where: { $0.value < 20 }) {
            for case .fetched(let fetched) in try await reader.next() {
                counts[fetched.partition] = fetched.nextOffset.rawValue
            }
        }
        #expect(counts.values.allSatisfy { $0 == 20 })
        await reader.close()
        await cluster.close()
    }

    @Test(
        "a partition whose broker stays away is told of, and meanwhile others are read",
        .enabled(if: MockCluster.isAvailable))
    func awayForGood() async throws {
        let mock = try MockCluster(brokers: 2, topics: ["t": 2])
        for partition in 0..<2 { try mock.tell("leader t \(partition) \(partition + 1)") }
        let cluster = mock.cluster { $0.totalMilliseconds = 1500 }
        let reader = LogReader(cluster)
        for partition in 0..<Int32(2) { await reader.read(id("t", partition), from: .zero) }
        try await produce("one", to: id("t", 0), on: cluster)
        try mock.tell("down 2")
        var read: Set<TopicPartition> = []
        let error = try await clientError { () async throws -> Void in
            while true {
                for case .fetched(let fetched) in try await reader.next()
                where !fetched.batches.isEmpty {
                    read.insert(fetched.partition)
                    try await produce("next", to: id("t", 0), on: cluster)
                }
            }
        }
        guard case .gaveUp(1500, let last)? = error else {
            Issue.record("\(error)")
            return
        }
        #expect(last.isRetriable && read == [id("t", 0)])
        await reader.close()
        await cluster.close()
    }

    private func produce(
        _ value: String, to id: TopicPartition, on cluster: ClusterClient
    ) async throws {
        var request = ProduceRequest()
        request.acks = -1
        request.timeoutMilliseconds = 10_000
        var topic = ProduceRequest.Topic()
        topic.name = id.topic
        var partition = ProduceRequest.Partition()
        partition.index = id.partition
        partition.records = try batch([value])[...]
        topic.partitions = [partition]
        request.topics = [topic]
        _ = try await cluster.ask(.leader(id), request, about: "\(id)") { answer in
            let result = answer.responses.first?.partitions.first
            return (result?.errorCode ?? .unknownServerError, result?.errorMessage)
        }
    }
}
