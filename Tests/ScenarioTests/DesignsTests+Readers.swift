import Synchronization
import Tally
import TallyTestSupport
import Testing

/// How designs of the gallery are read: by a group, and back from shards.
@Suite("Readers of the gallery", .timeLimit(.minutes(10)))
struct DesignReadersTests {
    /// A member that reads until it is closed, and the numbers of the events it has seen.
    private final class Member: Sendable {
        let consumer: GroupConsumer
        private let numbers = Mutex<[Int]>([])
        private let task = Mutex<Task<Void, any Error>?>(nil)

        init(_ consumer: GroupConsumer) {
            self.consumer = consumer
            task.withLock { task in
                task = Task { [self] in
                    for try await records in consumer {
                        try records.forEachRecord { record in
                            let number = DesignEngine.Read.number(of: record.valueText ?? "")
                            numbers.withLock { $0.append(number) }
                        }
                        try await consumer.commit(records)
                    }
                }
            }
        }

        var seen: [Int] { numbers.withLock { $0 } }

        func close() async throws {
            try await consumer.close()
            try await task.withLock { $0 }?.value
        }
    }

    private func eventually(_ isTrue: () -> Bool) async throws -> Bool {
        for _ in 0..<3_000 {
            if isTrue() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return isTrue()
    }

    @Test("three consumers of the shop's orders share them evenly, and each order stays with one")
    func threeConsumers() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let design = Design.shopOrders
        let events = design.load.events(using: &generator)
        let place = try await DesignEngine(contract: design.contract)
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let members = try (0..<3).map { _ in
            Member(
                try place.engine.consumer(
                    group: "fulfilment", topics: [design.topic], configuration))
        }
        // Six partitions: two for each, with nobody idle and nobody with more than the others.
        #expect(try await eventually { members.allSatisfy { $0.consumer.assignment.count == 2 } })

        try await place.send(
            events.map { ProducerRecord($0, to: design.topic, key: design.remedy($0, [])) })
        #expect(
            try await eventually { members.reduce(0) { $0 + $1.seen.count } == events.count })
        for member in members { try await member.close() }

        let fair = Double(events.count) / 3
        for member in members {
            #expect(Double(member.seen.count) < fair * DesignsTests.ratioNearFair)
        }
        // What lies in two partitions, or out of order, would here be with two members, or out of
        // order with one.
        let seen = members.enumerated().flatMap { index, member in
            member.seen.map { DesignEngine.Read(partition: Int32(index), events[$0]) }
        }
        #expect(seen.disorder(of: events) { $0.item } == nil)
        try await place.close()
    }

    @Test("whoever wants a sharded country whole reads its shards and merges them by time")
    func mergedShards() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let design = Design.paymentsByCountry
        let events = design.load.events(using: &generator)
        let place = try await DesignEngine(contract: design.contract)
        try await place.send(
            events.map { ProducerRecord($0, to: design.topic, key: design.remedy($0, [])) },
            partitioner: design.partitioner)
        let records = try await place.records(of: design.topic)
        try await place.close()

        let country = design.load.groupName(0)
        let shards = Set(KeyPattern.shards(of: country, shards: 48))
        let merged = records.filter { shards.contains($0.key ?? "") }
            .sorted { $0.timestamp < $1.timestamp }
        #expect(merged.map(\.number) == events.filter { $0.group == country }.map(\.number))
        // By hash alone chance gives a partition several of the busy country's shards too many.
        let hashed = try await DesignOutcome.of(events, design) { design.remedy($0, []) }
        #expect(hashed.skew.ratio > 1.15)
        // The partitioner deals out: twelve partitions have four shards each.
        var partitions: [String: Set<Int32>] = [:]
        for record in merged { partitions[record.key ?? "", default: []].insert(record.partition) }
        #expect(partitions.count == 48 && partitions.values.allSatisfy { $0.count == 1 })
        let counts = Dictionary(grouping: partitions.values, by: { $0 }).mapValues(\.count)
        #expect(counts.count == 12 && counts.values.allSatisfy { $0 == 4 })
    }
}
