import Synchronization
import Tally
import TallyTestSupport
import Testing

/// The first promise: the updates of one key are applied in their order, whoever reads them, and
/// keys that have nothing to do with each other do not wait for each other.
@Suite("Scenario: ordering", .timeLimit(.minutes(10)))
struct OrderingScenarioTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    // MARK: The application

    /// One update as a member applied it.
    private struct Applied: Hashable {
        var key: String
        var number: Int
    }

    /// All that was applied, by whichever member, in the order in which it happened.
    private final class Ledger: Sendable {
        private let entries = Mutex<[Applied]>([])

        var all: [Applied] { entries.withLock { $0 } }
        var distinctCount: Int { Set(all).count }
        func write(_ applied: Applied) { entries.withLock { $0.append(applied) } }

        /// Each key's numbers in the order in which they were applied.
        var numbersByKey: [String: [Int]] {
            Dictionary(grouping: all, by: \.key).mapValues { $0.map(\.number) }
        }
    }

    /// A member of the group: applies each record, then commits; what is taken from it is
    /// committed first.
    private final class Member: Sendable {
        let consumer: GroupConsumer
        /// Shut: the application hangs, between applying and committing.
        let gate: Gate
        private let task: Task<Void, any Error>

        init(
            _ engine: Engine, _ ledger: Ledger, pollIntervalMillisecondsMax: Int64 = 300_000,
            gate: Gate = Gate(),
            beforeEach: @escaping @Sendable (String) async -> Void = { _ in }
        ) throws {
            self.gate = gate
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.pollIntervalMillisecondsMax = pollIntervalMillisecondsMax
            configuration.onRebalance = { consumer, event in
                guard case .revoked = event else { return }
                try await Self.commit(consumer)
            }
            let consumer = try engine.consumer(group: "stock", topics: ["events"], configuration)
            self.consumer = consumer
            task = Task {
                for try await records in consumer {
                    var updates: [Applied] = []
                    try records.forEachRecord { record in
                        let number = Int(record.valueText ?? "") ?? -1
                        updates.append(Applied(key: record.keyText ?? "", number: number))
                    }
                    for update in updates {
                        await beforeEach(update.key)
                        ledger.write(update)
                    }
                    await gate.pass()
                    try await Self.commit(consumer)
                }
            }
        }

        /// Commits all that was handed out: between two elements that is all that was applied.
        /// While the group shares out anew it takes no commits; the next one holds this one too.
        private static func commit(_ consumer: GroupConsumer) async throws {
            do {
                try await consumer.commit()
            } catch EngineError.group {
                // The group has gone on without this member: others read what it did not commit.
            }
        }

        /// Ends with the element that it is at, and then leaves: who leaves first has its
        /// partitions read by others while it still applies what it has.
        func leave() async throws {
            gate.open()
            task.cancel()
            do { try await task.value } catch is CancellationError {}
            try await consumer.close()
        }
    }

    private func produce(
        _ numbers: Range<Int>, keys: [String], to engine: Engine
    ) async throws {
        try await GroupScenario.send(
            numbers.flatMap { number in keys.map { (key: $0, value: "\(number)") } },
            to: "events", in: engine)
    }

    private static let keys = (0..<12).map { "GOT:SKU-\($0)" }

    // MARK: Scenarios

    @Test("members come and leave while updates flow: each key's are applied in order, once each")
    func rebalances() async throws {
        let engine = try await GroupScenario.open(at: directory.path)
        try await GroupScenario.createTopic("events", partitions: 6, in: engine)
        let ledger = Ledger()
        let sending = Task { try await produce(0..<100, keys: Self.keys, to: engine) }
        var members = [try Member(engine, ledger)]
        #expect(try await GroupScenario.eventually { ledger.all.count > 100 })
        members.append(try Member(engine, ledger))
        members.append(try Member(engine, ledger))
        #expect(try await GroupScenario.eventually { ledger.all.count > 400 })
        try await members.removeFirst().leave()
        #expect(try await GroupScenario.eventually { ledger.all.count > 800 })
        members.append(try Member(engine, ledger))
        try await sending.value
        #expect(try await GroupScenario.eventually { ledger.distinctCount == 1200 })
        for member in members { try await member.leave() }
        for key in Self.keys {
            // Nobody died, so nothing was applied twice: commits came before partitions moved.
            #expect(ledger.numbersByKey[key] == Array(0..<100), "\(key)")
        }
        try await engine.close()
    }

    @Test("a key whose update takes long holds up its own partition, and no other")
    func parallel() async throws {
        let engine = try await GroupScenario.open(at: directory.path)
        try await GroupScenario.createTopic("events", partitions: 2, in: engine)
        let ledger = Ledger()
        let slow = Gate(isShut: true)
        // Keys of different partitions, by the hash that all Kafka clients have: seen in a topic
        // beside, since nobody may be kept by the slow key before the partitions are shared out.
        try await GroupScenario.createTopic("beside", partitions: 2, in: engine)
        let producer = try engine.producer()
        var keyOfPartition: [Int32: String] = [:]
        for key in Self.keys {
            let sent = try await producer.send(key: key, value: "0", to: "beside")
            if keyOfPartition[sent.partition] == nil { keyOfPartition[sent.partition] = key }
        }
        let slowKey = try #require(keyOfPartition[0])
        let quickKey = try #require(keyOfPartition[1])
        let wait: @Sendable (String) async -> Void = { key in
            if key == slowKey { await slow.pass() }
        }
        let members = try (0..<2).map { _ in try Member(engine, ledger, beforeEach: wait) }
        #expect(
            try await GroupScenario.eventually {
                members.allSatisfy { $0.consumer.assignment.count == 1 }
            })
        try await produce(0..<50, keys: [slowKey, quickKey], to: engine)
        #expect(
            try await GroupScenario.eventually {
                ledger.numbersByKey[quickKey] == Array(0..<50)
            })
        #expect(ledger.numbersByKey[slowKey] == nil, "it is waited for, in its partition alone")
        slow.open()
        #expect(
            try await GroupScenario.eventually { ledger.numbersByKey[slowKey]?.count == 50 })
        #expect(ledger.numbersByKey[slowKey] == Array(0..<50))
        for member in members { try await member.leave() }
        try await engine.close()
    }

    @Test("a member that hangs is replaced; what is applied again begins at an earlier update")
    func hanging() async throws {
        let engine = try await GroupScenario.open(at: directory.path)
        try await GroupScenario.createTopic("events", partitions: 2, in: engine)
        let ledger = Ledger()
        let hanging = try Member(engine, ledger, pollIntervalMillisecondsMax: 500)
        try await produce(0..<10, keys: Self.keys, to: engine)
        #expect(try await GroupScenario.eventually { ledger.distinctCount == 120 })
        hanging.gate.shut()
        try await produce(10..<12, keys: Self.keys, to: engine)
        // It has applied some of these, and does not come to commit them.
        #expect(try await GroupScenario.eventually { ledger.distinctCount > 120 })
        let healthy = try Member(engine, ledger)
        #expect(try await GroupScenario.eventually { healthy.consumer.assignment.count == 2 })
        try await produce(12..<20, keys: Self.keys, to: engine)
        #expect(try await GroupScenario.eventually { ledger.distinctCount == 240 })
        try await healthy.leave()
        try await hanging.leave()
        expectOrder(ledger, keys: Self.keys, count: 20)
        #expect(ledger.all.count > 240, "what was applied and not committed is applied again")
        try await engine.close()
    }

    /// An update is applied for the first time only after all earlier ones of its key were; and
    /// one is applied again only by going back: from there on they come in order once more.
    private func expectOrder(_ ledger: Ledger, keys: [String], count: Int) {
        for (key, numbers) in ledger.numbersByKey {
            var next = 0
            var previous = -1
            for number in numbers {
                #expect(number <= previous + 1, "\(key): \(number) behind \(previous)")
                if number == next { next += 1 }
                previous = number
            }
            #expect(next == count, "\(key) ends before \(next)")
        }
        #expect(ledger.numbersByKey.count == keys.count)
    }

    // MARK: Many interleavings

    @Test("random members come, leave, hang and come back: the order of each key is kept")
    func interleavings() async throws {
        var generator = SeededGenerator.fromEnvironment()
        for round in 0..<6 {
            try await interleaving(round, &generator)
        }
    }

    private func interleaving(_ round: Int, _ generator: inout SeededGenerator) async throws {
        let engine = try await GroupScenario.open(at: directory.path("round-\(round)"))
        let partitions = Int.random(in: 1...6, using: &generator)
        try await GroupScenario.createTopic("events", partitions: partitions, in: engine)
        let ledger = Ledger()
        let keys = Array(Self.keys.prefix(Int.random(in: 1...12, using: &generator)))
        // Half of the rounds are without hanging members: there nothing is applied twice.
        let mayHang = round % 2 == 1
        var members: [Member] = []
        var count = 0
        for _ in 0..<25 {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0, 1, 2:
                let more = Int.random(in: 1...8, using: &generator)
                try await produce(count..<(count + more), keys: keys, to: engine)
                count += more
            case 3, 4:
                guard members.count < 5 else { break }
                let interval: Int64 = mayHang ? 600 : 300_000
                members.append(
                    try Member(engine, ledger, pollIntervalMillisecondsMax: interval))
            case 5:
                guard !members.isEmpty else { break }
                let chosen = Int.random(in: 0..<members.count, using: &generator)
                try await members.remove(at: chosen).leave()
            case 6:
                if mayHang { members.randomElement(using: &generator)?.gate.shut() }
            default:
                members.randomElement(using: &generator)?.gate.open()
            }
            let pause = Int.random(in: 0..<(mayHang ? 200 : 40), using: &generator)
            try await Task.sleep(for: .milliseconds(pause))
        }
        members.append(try Member(engine, ledger))
        #expect(
            try await GroupScenario.eventually { ledger.distinctCount == count * keys.count },
            "round \(round): \(ledger.distinctCount) of \(count * keys.count)")
        for member in members { try await member.leave() }
        if count > 0 { expectOrder(ledger, keys: keys, count: count) }
        if !mayHang { #expect(ledger.all.count == count * keys.count, "round \(round)") }
        try await engine.close()
    }
}
