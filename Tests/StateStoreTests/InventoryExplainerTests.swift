import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("Explaining an item")
struct InventoryExplainerTests {
    @Test("what is explained is what the projection does, record by record", arguments: 0..<8)
    func asProjected(_ run: Int) throws {
        var random = SeededGenerator()
        let context: Comment = "TALLY_SEED=\(random.seed)"
        var model = InventoryModel()
        model.extend(by: 1000, keys: 6, using: &random)
        let window = Int64([3, 200, 1_000_000][run % 3])
        let directory = try ScratchDirectory()
        let database = try StateDatabase(directory: directory.path)
        let projection = try InventoryProjection.opened(database, window: window)
        let key = ["W1:I3", "W0:I5", "W1:I3", "W:I"][run % 4]
        var explainer = InventoryExplainer(key: key, deduplicationWindow: window)
        explainer.recordsPerSettling = Int.random(in: 1...100, using: &random)
        var counts = [0, 0, 0]
        var explained = 0
        for (partition, records) in model.records.enumerated() {
            for (offset, record) in records.enumerated() {
                let outcome = try projection.apply(
                    record, partition: Int32(partition), offset: Int64(offset))
                if Int.random(in: 0..<20, using: &random) == 0 { try projection.commit() }
                let event = try explainer.apply(
                    record, partition: Int32(partition), offset: Int64(offset))
                counts[partition] = offset + 1
                #expect((event != nil) == (record.key == key), context)
                guard let event else { continue }
                explained += 1
                try #require(event.outcome.isOf(outcome), context)
                if outcome != .applied { #expect(event.before == event.after, context) }
                // The model folds all over again.
                guard Int.random(in: 0..<10, using: &random) == 0 else { continue }
                let stock = model.stock(after: counts, window: window)[key]
                try #require(event.after.onHand == stock?.onHand ?? 0, context)
                try #require(event.after.reserved == stock?.reserved ?? 0, context)
            }
        }
        try projection.commit()
        #expect(explained > 0, context)
        let last = try database.modelStock()[key]
        #expect(explainer.stock.onHand == last?.onHand ?? 0, context)
        #expect(explainer.stock.reserved == last?.reserved ?? 0, context)
    }

    @Test("another item's event with the same id makes a duplicate, and a fault keeps an id free")
    func otherItems() throws {
        var explainer = InventoryExplainer(key: "W:I")
        let other = try explainer.apply(.event("STOCK_RECEIVED", 5, key: "W:J", id: "a"), offset: 0)
        #expect(other == nil)
        let duplicate = try explainer.apply(.event("STOCK_RECEIVED", 5, id: "a"), offset: 1)
        #expect(duplicate?.outcome == .duplicate && duplicate?.eventID == "a")
        // An item without a name is a dead letter: its id was never applied.
        _ = try explainer.apply(.event("STOCK_RECEIVED", 5, key: "nothing", id: "b"), offset: 2)
        let applied = try explainer.apply(.event("STOCK_RECEIVED", 5, id: "b"), offset: 3)
        #expect(applied?.outcome == .applied && applied?.after.onHand == 5)
        // What was handed in is not told of again.
        #expect(try explainer.apply(.event("STOCK_RECEIVED", 5, id: "b"), offset: 3) == nil)
        let letter = try explainer.apply(.event("STOCK_RECEIVED", -1), offset: 4)
        #expect(
            letter?.outcome
                == .deadLetter(reason: "quantity is negative (corrections are STOCK_ADJUSTED)"))
        #expect(try explainer.apply(TestRecord(nil, "x"), offset: 5) == nil)
    }

    @Test("decisions and what was done by hand are told with who, why and what")
    func decisions() throws {
        var explainer = InventoryExplainer(key: "W:I")
        let decided = try explainer.apply(
            .event(
                "AVAILABILITY_DECIDED",
                more: #""channel":"web","decision":"HIDDEN","reason":"recall""#), offset: 0)
        #expect(decided?.channel == "web" && decided?.decision == "HIDDEN")
        #expect(decided?.why == "recall" && decided?.before == decided?.after)
        let audit = try explainer.apply(
            .event("MANUAL_OVERRIDE", more: #""operator":"ann","reason":"x""#), offset: 1)
        #expect(audit?.who == "ann" && audit?.eventType == "MANUAL_OVERRIDE")
    }
}

extension ExplainedEvent.Outcome {
    /// Whether it is the explanation of what a projection said.
    fileprivate func isOf(_ outcome: ApplyOutcome) -> Bool {
        switch self {
        case .applied: outcome == .applied
        case .duplicate: outcome == .duplicate
        case .deadLetter(let reason): outcome == .deadLetter && !reason.isEmpty
        }
    }
}

extension TestRecord {
    /// An event without a quantity.
    fileprivate static func event(_ type: String, more: String) -> TestRecord {
        .event(type, nil, more)
    }
}

extension InventoryExplainer {
    /// Applies one record.
    fileprivate mutating func apply(
        _ record: TestRecord, partition: Int32 = 0, offset: Int64
    ) throws -> ExplainedEvent? {
        let value = Array((record.value ?? "").utf8)
        guard let key = record.key.map({ Array($0.utf8) }) else {
            return try apply(
                partition: partition, offset: Offset(offset), leaderEpoch: LeaderEpoch(0),
                timestamp: Timestamp(milliseconds: 77), key: nil, value: value.rawSpan)
        }
        return try apply(
            partition: partition, offset: Offset(offset), leaderEpoch: LeaderEpoch(0),
            timestamp: Timestamp(milliseconds: 77), key: key.rawSpan, value: value.rawSpan)
    }
}
