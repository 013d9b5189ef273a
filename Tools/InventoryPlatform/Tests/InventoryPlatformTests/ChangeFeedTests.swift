import Foundation
import ServiceLifecycle
import Tally
import Testing

@testable import InventoryPlatform

@Suite("The change feed", .timeLimit(.minutes(5)))
struct ChangeFeedTests {
    private static let key = #"{"warehouse":"O","item":"1"}"#

    private static func row(_ quantity: Int?) -> String {
        quantity.map { #"{"warehouse":"O","item":"1","quantity":\#($0)}"# } ?? "null"
    }

    private static func value(
        _ op: String, _ before: Int?, _ after: Int?, lsn: Int = 1
    ) -> String {
        #"{"before":\#(row(before)),"after":\#(row(after)),"source":{"lsn":\#(lsn)},"#
            + #""op":"\#(op)","ts_ms":7}"#
    }

    private static func decode(_ key: String?, _ value: String?) throws -> ChangeEnvelope? {
        try ChangeEnvelope.decode(
            key: key.map { Array($0.utf8) }, value: value.map { Array($0.utf8) })
    }

    @Test("each op is read, with and without a schema around it")
    func operations() throws {
        for (op, after) in [("c", 5), ("u", 0), ("r", 9), ("d", nil)] as [(String, Int?)] {
            let value = Self.value(op, 3, after)
            let change = try #require(try Self.decode(Self.key, value))
            #expect(change.operation.rawValue == op && change.key == "O:1")
            #expect(change.quantity == after.map(Int64.init) && change.sequence == 1)
            #expect(change.timestamp.rawValue == 7)
            let wrapped = try Self.decode(
                #"{"schema":{"type":"struct"},"payload":\#(Self.key)}"#,
                #"{"schema":{"type":"struct"},"payload":\#(value)}"#)
            #expect(wrapped == change)
        }
        #expect(try Self.decode(Self.key, nil) == nil)
    }

    @Test(
        "what cannot be understood is an error that names the field",
        arguments: [
            (nil, value("c", nil, 1), "key: the record has none"),
            ("1", value("c", nil, 1), "key: an object is needed"),
            ("{", value("c", nil, 1), "key: it is no JSON"),
            (#"{"item":"1"}"#, nil, "key.warehouse: a text is needed"),
            (#"{"warehouse":"O","item":"1:2"}"#, nil, "key.item: it has a colon"),
            (#"{"warehouse":"","item":"1"}"#, nil, "key.warehouse: 1 to 500 bytes, no NUL"),
            (key, "", "value: it is no JSON"), (key, "[]", "value: an object is needed"),
            (key, "{}", "op: a text is needed"),
            (key, value("t", nil, nil), "op: \"t\" is none of c, u, d and r"),
            (key, value("c", nil, nil), "after: an object is needed for op c"),
            (key, value("d", nil, 1), "after: a deletion has none"),
            (key, value("c", nil, -1), "after.quantity: -1 is below 0"),
            (
                key, value("c", nil, 1).replacing(#""quantity":1"#, with: #""quantity":1.5"#),
                "after.quantity: a whole number of at most 64 bits is needed"
            ),
            (
                key, value("c", nil, 1).replacing(#""lsn":1"#, with: #""lsn":true"#),
                "source.lsn: a whole number of at most 64 bits is needed"
            ),
            (
                #"{"warehouse":"P","item":"1"}"#, value("c", nil, 1),
                "after: it is O:1, and the record's key P:1"
            ),
            (
                key, value("c", nil, 1).replacing(#""ts_ms":7"#, with: #""ts_ms":1e18"#),
                "ts_ms: 1000000000000000000 is no time"
            ),
        ] as [(String?, String?, String)])
    func faults(key: String?, value: String?, message: String) {
        let error = #expect(throws: ChangeFault.self) { try Self.decode(key, value) }
        #expect(error?.description == message)
    }

    @Test("any bytes are a change or an error")
    func fuzz() {
        var generator = SeededGenerator()
        let value = Array(Self.value("u", 1, 2).utf8)
        for _ in 0..<3000 {
            var bytes = value
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = .random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                default:
                    let other = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes.insert(
                        contentsOf: bytes[min(place, other)...max(place, other)], at: place)
                }
            }
            _ = try? ChangeEnvelope.decode(key: Array(Self.key.utf8), value: bytes)
            _ = try? ChangeEnvelope.decode(key: bytes, value: bytes)
        }
    }

    @Test(
        "rows become counts, once each, through a crash at any step", arguments: WorkStep.allCases)
    func feed(step: WorkStep) async throws {
        var shop = try await TestShop(in: TestDirectory())
        let values: [String?] = [
            Self.value("r", nil, 5, lsn: 10), Self.value("u", 5, 7, lsn: 20), "nonsense",
            // What a connector sends again after an interruption.
            Self.value("r", nil, 5, lsn: 10), Self.value("u", 5, 7, lsn: 20),
            Self.value("d", 7, nil, lsn: 30), nil, Self.value("c", nil, 4, lsn: 40),
        ]
        let producer = try shop.engine.producer()
        for value in values {
            _ = try await producer.send(key: Self.key, value: value, to: Topics.changes)
        }
        func service(
            _ shop: TestShop, _ probe: @escaping WorkProbe = { _, _ in }
        ) -> any Service {
            var service = ChangeFeedService(engine: shop.engine)
            service.worker.probe = probe
            service.worker.member.configuration.reading.fetchBytesMax = 1
            return service
        }
        shop = try await shop.crash(at: step, count: 3) { [shop] in service(shop, $0) }
        try await shop.run([service(shop)], through: ChangeFeedService.group, Topics.changes)
        let events = try await shop.events()
        #expect(events.map(\.event.quantity) == [5, 7, 0, 4])
        #expect(events.allSatisfy { $0.key == "O:1" && $0.event.eventType == .counted })
        let rejected = try await shop.records(Topics.deadLetters)
        #expect(
            rejected.map { $0.value.map { String(decoding: $0, as: UTF8.self) } } == ["nonsense"])
        try await shop.engine.close()
    }
}
