import Foundation
import Testing

@testable import TallyImport

@Suite("Inventory event encoder")
struct InventoryEventEncoderTests {
    static func encode(
        _ encoder: InventoryEventEncoder, _ quantity: Int64, at milliseconds: Int64 = 0,
        eventID: String? = nil
    ) -> String {
        var output: [UInt8] = []
        encoder.encode(
            quantity: quantity, recordedAtMilliseconds: milliseconds,
            eventID: eventID.map { Array($0.utf8) }, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test("an adjustment carries quantityDelta, a movement quantity")
    func quantities() throws {
        let adjusted = try InventoryEventEncoder(type: .stockAdjusted)
        #expect(
            Self.encode(adjusted, -6, at: 1_291_191_960_000)
                == #"{"eventType":"STOCK_ADJUSTED","quantityDelta":-6,"#
                + #""recordedAt":"2010-12-01T08:26:00Z"}"#)
        let shipped = try InventoryEventEncoder(type: .stockShipped)
        #expect(
            Self.encode(shipped, 0, at: 1_291_191_960_007)
                == #"{"eventType":"STOCK_SHIPPED","quantity":0,"#
                + #""recordedAt":"2010-12-01T08:26:00.007Z"}"#)
        #expect(Self.encode(shipped, .min).contains(#""quantity":-9223372036854775808,"#))
        #expect(Self.encode(shipped, .max).contains(#""quantity":9223372036854775807,"#))
    }

    @Test("any text comes back from JSON as it was")
    func escaping() throws {
        var all = (0..<0x80).map { String(UnicodeScalar(UInt8($0))) }.joined()
        all += "£ 日本 🙂 \u{2028} \\u0041"
        let encoder = try InventoryEventEncoder(
            type: .stockCounted, reason: "\"\\\n" + all, channel: all)
        let text = Self.encode(encoder, 5, eventID: all + "/1")
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object.count == 6)
        #expect(object["eventType"] as? String == "STOCK_COUNTED")
        #expect(object["quantity"] as? Int == 5)
        #expect(object["recordedAt"] as? String == "1970-01-01T00:00:00Z")
        #expect(object["eventId"] as? String == all + "/1")
        #expect(object["reason"] as? String == "\"\\\n" + all)
        #expect(object["channel"] as? String == all)
    }

    @Test("an empty event id is written: it is the reader's to judge")
    func emptyEventID() throws {
        let encoder = try InventoryEventEncoder(type: .stockReceived)
        #expect(Self.encode(encoder, 1, eventID: "").hasSuffix(#","eventId":""}"#))
        #expect(!Self.encode(encoder, 1).contains("eventId"))
    }

    @Test("an unknown event type is an error that lists the sixteen there are")
    func unknownType() throws {
        #expect(InventoryEventType.allCases.count == 16)
        let error = #expect(throws: ImportOptionError.self) {
            try InventoryEventType(named: "STOCK_LOST")
        }
        let description = try #require(error?.description)
        for type in InventoryEventType.allCases {
            #expect(description.contains(type.rawValue))
            #expect(try InventoryEventType(named: type.rawValue) == type)
        }
    }

    @Test("event types without a quantity are refused")
    func withoutQuantity() {
        for type in InventoryEventType.allCases where type.quantityName == nil {
            #expect(throws: ImportOptionError.eventTypeWithoutQuantity(type.rawValue)) {
                try InventoryEventEncoder(type: type)
            }
        }
    }
}
