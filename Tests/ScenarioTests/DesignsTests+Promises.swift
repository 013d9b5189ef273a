import Foundation
import GRDB
import Tally
import TallyContracts
import TallyStateStore
import TallyTestSupport
import Testing

/// What the page of the gallery says of acknowledgements, delivery and retention: the contracts say
/// it too, and the topics that are driven have it.
@Suite("Promises of the gallery", .timeLimit(.minutes(10)))
struct DesignPromisesTests {
    private func page() throws -> String {
        String(decoding: try Fixtures.bytes("designs/README.md"), as: UTF8.self)
    }

    private func contract(_ name: String) throws -> Contract {
        let text = String(decoding: try Fixtures.bytes("designs/\(name).yaml"), as: UTF8.self)
        return try Contract(yaml: text, file: "\(name).yaml")
    }

    private func topic(of promise: DesignPromise) throws -> TopicContract {
        try #require(
            try contract(promise.contract).topics.first { $0.name == promise.topic },
            "\(promise.contract).yaml has no topic \(promise.topic)")
    }

    // MARK: The page

    @Test("the table has each topic of each contract, as the contract and its driver have it")
    func table() throws {
        let rows = try DesignPromiseRow.rows(of: page())
        let expected = try DesignPromise.all.map { promise in
            try DesignPromiseRow(promise, topic(of: promise))
        }
        for (row, expected) in zip(rows, expected) { #expect(row == expected) }
        #expect(rows.count == expected.count)
        let topics = try DesignContractsTests.names.flatMap { name in
            try contract(name).topics.map { "\(name)/\($0.name)" }
        }
        #expect(Set(DesignPromise.all.map(\.testDescription)) == Set(topics))
    }

    @Test(
        "what a section says of acks, delivery and time is what its topics have",
        arguments: DesignContractsTests.names)
    func prose(_ name: String) throws {
        let sections = try page().components(separatedBy: "\n## " as String)
        let section = try #require(sections.first { $0.contains("](\(name).yaml)") })
        let text = section.lowercased().split(whereSeparator: \.isWhitespace)
            .joined(separator: " ")
        let rows = try DesignPromiseRow.rows(of: page()).filter { $0.contract == name }
        #expect(!rows.isEmpty)
        for acks in ["0", "1", "all"] {
            #expect(
                text.contains("`acks=\(acks)`") == rows.contains { $0.acks == acks },
                "acks=\(acks)")
        }
        for delivery in DesignPromise.Delivery.allCases.map(\.rawValue) {
            #expect(
                text.contains(delivery) == rows.contains { $0.delivery == delivery },
                "\(delivery)")
        }
        for row in rows { #expect(text.contains(row.keptInWords), "\(row.topic): \(row.kept)") }
    }

    // MARK: The contracts

    @Test("a contract has the replicas and the durability of its topic's acks and retention")
    func contracts() throws {
        for promise in DesignPromise.all {
            let topic = try topic(of: promise)
            let name = promise.testDescription
            let (replicas, inSync, durability) = (
                topic.replicas?.value, topic.number("min.insync.replicas"),
                topic.settings["tally.durability"]?.value
            )
            if promise.acknowledgements == .all {
                // Nothing that was acknowledged may be lost.
                #expect(replicas == 3 && inSync == 2 && durability == nil, "\(name)")
            } else {
                #expect(
                    replicas == 2 && inSync == nil && durability == "interval:1000", "\(name)")
            }
            // Only what a newer record makes worthless may be compacted, and it is idempotent: that
            // it comes twice harms nobody.
            let isState = topic.contents?.value == .latestState
            #expect(topic.cleanupPolicies == (isState ? ["compact"] : ["delete"]), "\(name)")
            #expect(!isState || promise.delivery == .atLeastOnce, "\(name)")
            // A consumer that was away finds what it has missed, and has time to catch up.
            let window = try #require(topic.recoveryWindowMilliseconds).value
            let kept = topic.number(isState ? "delete.retention.ms" : "retention.ms")
            #expect(try #require(kept) >= 2 * window, "\(name)")
        }
    }

    // MARK: The topics that are driven

    /// Somebody who reads a topic as it is promised, and may die at an element.
    private struct Reader {
        struct Death: Error {}

        let place: DesignEngine
        let promise: DesignPromise
        let database: DatabaseQueue

        /// How often each record counts until now.
        func counts() throws -> [Int: Int] {
            try database.read { db in
                let rows = try Row.fetchAll(
                    db, sql: "SELECT number, count(*) AS times FROM work GROUP BY number")
                return Dictionary(uniqueKeysWithValues: rows.map { ($0["number"], $0["times"]) })
            }
        }

        private static func work(_ records: ConsumedRecords, _ db: Database) throws {
            try records.forEachRecord { record in
                let number = DesignEngine.Read.number(of: record.valueText ?? "")
                try db.execute(sql: "INSERT INTO work VALUES (?)", arguments: [number])
            }
        }

        /// Reads up to the end, or dies between work and position of an element.
        func read(dyingAt last: Int?) async throws {
            var configuration = ConsumerConfiguration(end: .currentEnd)
            configuration.fetchBytesMax = 1
            let consumer = try place.engine.consumer(of: promise.topic, configuration)
            let positions = try PositionTable(in: database, consumer: "work")
            if promise.delivery == .exactlyOnce {
                try await positions.take(for: consumer)
            } else {
                let stands = try await place.engine.committedOffsets(ofGroup: "work")
                for (id, position) in stands {
                    try await consumer.consumer.seek(id, to: .offset(position.offset))
                }
            }
            var number = 0
            for try await records in consumer {
                number += 1
                let isLast = number == last
                let offsets = consumer.consumer.offsetsToCommit
                switch promise.delivery {
                case .atMostOnce:
                    try await place.engine.commitOffsets(offsets, ofGroup: "work")
                    if isLast { return }
                    try await database.write { try Self.work(records, $0) }
                case .atLeastOnce:
                    try await database.write { try Self.work(records, $0) }
                    if isLast { return }
                    try await place.engine.commitOffsets(offsets, ofGroup: "work")
                case .exactlyOnce:
                    do {
                        try await positions.apply(records) { db in
                            try Self.work(records, db)
                            if isLast { throw Death() }
                        }
                    } catch is Death { return }
                }
            }
        }
    }

    @Test(
        "a reader that dies between work and position loses and repeats what the page says",
        arguments: DesignPromise.all)
    func delivery(_ promise: DesignPromise) async throws {
        let place = try await DesignEngine(contract: promise.contract)
        var generator = SeededGenerator.fromEnvironment(promise.testDescription)
        let load = DesignLoad(groupCount: 10, popularity: .zipf(1), eventCount: 300)
        let events = load.events(using: &generator)
        try await place.send(
            events.map { ProducerRecord($0, to: promise.topic, key: $0.item) }, batchBytes: 128)

        let database = try DatabaseQueue()
        try await database.write { db in try db.execute(sql: "CREATE TABLE work (number INTEGER)") }
        let reader = Reader(place: place, promise: promise, database: database)
        for last in [3, 1, 5] { try await reader.read(dyingAt: last) }
        try await reader.read(dyingAt: nil)
        let counts = try reader.counts()
        let (lost, repeated) = (
            events.count - counts.count, counts.values.count { $0 > 1 }
        )
        switch promise.delivery {
        case .atMostOnce: #expect(lost > 0 && repeated == 0)
        case .atLeastOnce: #expect(lost == 0 && repeated > 0)
        case .exactlyOnce: #expect(lost == 0 && repeated == 0)
        }

        // The topic is what the contract says.
        let found = try place.engine.describeTopic(promise.topic).configuration
        let contract = try topic(of: promise)
        #expect(found.isCompacted == (contract.cleanupPolicies == ["compact"]))
        if !found.isCompacted {
            #expect(found.retentionMilliseconds == contract.number("retention.ms").map(Int64.init))
        }
        #expect(
            found.durability
                == (promise.acknowledgements == .all ? nil : .interval(milliseconds: 1_000)))
        try await place.close()
    }
}
