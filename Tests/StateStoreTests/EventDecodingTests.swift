import Tally
import Testing

@testable import TallyStateStore

@Suite("Reading events")
struct EventDecodingTests {
    @Test("every event type is known by its name and by nothing else")
    func types() throws {
        for type in InventoryEventType.allCases {
            let more =
                type == .availabilityDecided
                ? #","channel":"web","decision":"HIDDEN""# : #","quantity":3,"quantityDelta":-3"#
            let event = try decode(#"{"eventType":"\#(type.rawValue)","recordedAt":5\#(more)}"#)
            #expect(event.type == type)
            let other = type.rawValue.lowercased()
            #expect(
                fault(#"{"eventType":"\#(other)","recordedAt":5}"#) == .unknownEventType(other))
        }
        #expect(InventoryEventType.allCases.count == 16)
    }

    @Test("names and types may be written with escapes")
    func escapes() throws {
        let event = try decode(
            #"{"event\u0054ype":"STOCK\u005fADJUSTED","quantityDelta":-6,"#
                + #""recordedAt":"1970\u002d01-01T00:00:01Z"}"#)
        #expect(event.type == .stockAdjusted)
        #expect(event.quantity == -6)
        #expect(event.recordedAt.rawValue == 1000)
    }

    @Test("unknown fields are skipped, whatever they hold")
    func unknownFields() throws {
        let event = try decode(
            #"{"x":{"eventType":"NO","y":[1,{}]},"eventType":"STOCK_COUNTED","quantity":4,"#
                + #""quantityDelta_":"a","recordedAt":9,"#
                + #""aNameThatIsLongerThanAnyPackedNameCouldBe":[],"x":1}"#)
        #expect(event.quantity == 4)
    }

    @Test(
        "a fault says which field and what is wrong with it",
        arguments: [
            (#"{"recordedAt":1,"quantity":1}"#, .missing(.eventType)),
            (#"{"eventType":null,"recordedAt":1}"#, .missing(.eventType)),
            (#"{"eventType":"STOCK_SHIPPED","quantity":1}"#, .missing(.recordedAt)),
            (#"{"eventType":"STOCK_SHIPPED","recordedAt":1}"#, .missing(.quantity)),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantityDelta":1}"#,
                .missing(.quantity)
            ),
            (
                #"{"eventType":"STOCK_ADJUSTED","recordedAt":1,"quantity":1}"#,
                .missing(.quantityDelta)
            ),
            (#"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":-1}"#, .negative(.quantity)),
            (#"{"eventType":"STOCK_COUNTED","recordedAt":1,"quantity":-1}"#, .negative(.quantity)),
            (#"{"eventType":"STOCK_RESERVED","recordedAt":1,"quantity":-1}"#, .negative(.quantity)),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":"1"}"#,
                .wrongType(.quantity)
            ),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":true}"#,
                .wrongType(.quantity)
            ),
            (#"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":5.0}"#, .notWhole(.quantity)),
            (#"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":5e0}"#, .notWhole(.quantity)),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":9223372036854775808}"#,
                .outOfRange(.quantity)
            ),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":1,"quantity":1,"quantity":1}"#,
                .repeated(.quantity)
            ),
            (#"{"eventType":7,"recordedAt":1,"quantity":1}"#, .wrongType(.eventType)),
            (#"{"eventType":"STOCK_SHIPPED","recordedAt":"yesterday","quantity":1}"#, .invalidTime),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":true,"quantity":1}"#,
                .wrongType(.recordedAt)
            ),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":1.5,"quantity":1}"#,
                .notWhole(.recordedAt)
            ),
            (
                #"{"eventType":"STOCK_SHIPPED","recordedAt":253402300800000,"quantity":1}"#,
                .outOfRange(.recordedAt)
            ),
            (
                #"{"eventType":"AVAILABILITY_DECIDED","recordedAt":1,"channel":"a"}"#,
                .missing(.decision)
            ),
            (
                #"{"eventType":"AVAILABILITY_DECIDED","recordedAt":1,"decision":"HIDDEN"}"#,
                .missing(.channel)
            ),
            (
                #"{"eventType":"AVAILABILITY_DECIDED","recordedAt":1,"decision":"N","channel":""}"#,
                .unknownDecision("N")
            ),
            (#"{"eventType":"MANUAL_OVERRIDE","recordedAt":1,"actor":5}"#, .wrongType(.actor)),
            (
                #"{"eventType":"MANUAL_OVERRIDE","recordedAt":1,"reason":"a\u0000b"}"#,
                .hasNulCharacter(.reason)
            ),
            ("[]", .notAnObject), ("5", .notAnObject), ("null", .notAnObject),
            ("", .notJSON(JSONFault(reason: .endOfText, position: 0))),
            ("{", .notJSON(JSONFault(reason: .endOfText, position: 1))),
            ("{} x", .notJSON(JSONFault(reason: .trailingBytes, position: 3))),
            (#"{"quantity":"1" "#, .notJSON(JSONFault(reason: .endOfText, position: 16))),
        ] as [(String, EventFault)])
    func faults(_ json: String, _ expected: EventFault) {
        #expect(fault(json) == expected, "\(json)")
    }

    @Test("an event id is text or a whole number, and none when empty or null")
    func eventIds() throws {
        let expected: [(String, String?)] = [
            (#""a-1""#, "a-1"), ("17", "17"), ("-17", "-17"), (#""""#, nil), ("null", nil),
            (#""\u00e9""#, "é"),
        ]
        for (json, id) in expected {
            let bytes = Array(
                #"{"eventType":"HOLD_RELEASED","recordedAt":1,"eventId":\#(json)}"#.utf8)
            let range = try InventoryEvent(decoding: bytes.rawSpan).eventId
            let text = range.map {
                String(
                    decoding: JSONScanner.characters(of: $0, in: bytes.rawSpan), as: UTF8.self)
            }
            #expect(text == id)
        }
        let long = String(repeating: "x", count: 257)
        #expect(
            fault(#"{"eventType":"HOLD_RELEASED","recordedAt":1,"eventId":"\#(long)"}"#)
                == .tooLong(.eventId))
        #expect(
            fault(#"{"eventType":"HOLD_RELEASED","recordedAt":1,"eventId":1.5}"#)
                == .notWhole(.eventId))
    }

    @Test("random damage to an event gives an event or a fault, never a trap")
    func fuzz() {
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        let original = Array(
            (#"{"eventId":"a\u00e9-1","eventType":"STOCK_ADJUSTED","quantityDelta":-6,"#
                + #""recordedAt":"2010-12-01T08:26:00.25+01:00","reason":"\ud83d\ude00","q":[{}]}"#)
                .utf8)
        var events = 0
        for _ in 0..<50_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) {
                    bytes[position] = UInt8.random(in: 0...255, using: &random)
                } else {
                    bytes.swapAt(position, Int.random(in: 0..<bytes.count, using: &random))
                }
            }
            if Int.random(in: 0..<4, using: &random) == 0 {
                bytes.removeLast(Int.random(in: 0...bytes.count, using: &random))
            }
            if (try? InventoryEvent(decoding: bytes.rawSpan)) != nil { events += 1 }
        }
        #expect(events > 100)
    }

    @Test("the last colon of a key separates warehouse and item")
    func keys() throws {
        let key = try InventoryKey(decoding: Array("United Kingdom:a:85123A".utf8).rawSpan)
        #expect(key.warehouse == "United Kingdom:a")
        #expect(key.item == "85123A")
        let faults: [([UInt8], InventoryKeyFault)] = [
            ([], .noColon), (Array("abc".utf8), .noColon), (Array(":a".utf8), .emptyWarehouse),
            (Array("a:".utf8), .emptyItem), (Array(":".utf8), .emptyWarehouse),
            (Array("a\0:b".utf8), .nulCharacter), ([0xff, 0x3a, 0x41], .notText),
            (Array(String(repeating: "a", count: 1023).utf8) + [0x3a, 0x41], .tooLong),
        ]
        for (bytes, fault) in faults {
            #expect(throws: fault) { _ = try InventoryKey(decoding: bytes.rawSpan) }
        }
    }

    private func decode(_ json: String) throws(EventFault) -> InventoryEvent {
        try InventoryEvent(decoding: Array(json.utf8).rawSpan)
    }

    private func fault(_ json: String) -> EventFault? {
        do {
            _ = try decode(json)
            return nil
        } catch {
            return error
        }
    }
}
