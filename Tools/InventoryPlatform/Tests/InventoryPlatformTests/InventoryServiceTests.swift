import Synchronization
import Tally
import Testing

@testable import InventoryPlatform

@Suite("InventoryService", .timeLimit(.minutes(5)))
struct InventoryServiceTests {
    private static func adjustments(_ range: Range<Int>) -> [Adjustment] {
        range.map {
            Adjustment(
                id: "\($0)", key: "W:\($0 % 3)", .received, quantity: 1,
                at: Timestamp(milliseconds: 0))
        }
    }

    private static func count(_ shop: TestShop) async throws -> Int {
        let ids = try await shop.events().compactMap(\.event.eventId)
        #expect(Set(ids).count == ids.count, "an id is in the log twice")
        return ids.count
    }

    @Test("what is handed in twice counts once, in one call, in several at once, and ever after")
    func twice() async throws {
        let shop = try await TestShop(in: TestDirectory())
        let service = shop.platform.inventory
        let answers = try await service.accept(Self.adjustments(0..<5) + Self.adjustments(3..<8))
        #expect(answers.map { $0 == .known } == (0..<10).map { $0 == 5 || $0 == 6 })
        await withTaskGroup(of: Void.self) { tasks in
            for _ in 0..<8 {
                tasks.addTask { _ = try? await service.accept(Self.adjustments(0..<20)) }
            }
        }
        #expect(try await Self.count(shop) == 20)
        // Another instance takes over; the first one is fenced, and comes back when it is asked.
        let other = InventoryService(engine: shop.engine)
        #expect(try await other.accept(Self.adjustments(19..<21)) == [.known, .accepted])
        await #expect(throws: (any Error).self) {
            try await service.accept(Self.adjustments(21..<22))
        }
        #expect(try await service.accept(Self.adjustments(20..<22)) == [.known, .accepted])
        #expect(try await Self.count(shop) == 22)
        try await shop.engine.close()
    }

    @Test("a crash at any step, and the caller hands it all in again", arguments: WorkStep.allCases)
    func crash(step: WorkStep) async throws {
        let shop = try await TestShop(in: TestDirectory())
        let image = Mutex<TestDirectory?>(nil)
        let service = InventoryService(engine: shop.engine) { reached in
            guard reached == step else { return }
            let copy = try TestDirectory(copying: shop.directory)
            image.withLock { $0 = copy }
        }
        _ = try await service.accept(Self.adjustments(0..<10))
        try await shop.engine.close()
        // There are no offsets to send here.
        guard let found = image.withLock({ $0 }) else { return #expect(step == .offsetsSent) }
        let after = try await TestShop(in: found)
        let answers = try await after.platform.inventory.accept(Self.adjustments(0..<12))
        #expect(answers.count { $0 == .known } == (step == .committed ? 10 : 0))
        #expect(try await Self.count(after) == 12)
        try await after.engine.close()
    }

    @Test("what makes no sense is refused with the reason, and the rest accepted")
    func refused() async throws {
        let shop = try await TestShop(in: TestDirectory())
        let time = Timestamp(milliseconds: 0)
        let answers = try await shop.platform.inventory.accept([
            Adjustment(id: "", key: "W:1", .received, quantity: 1, at: time),
            Adjustment(id: "a", key: "nothing", .received, quantity: 1, at: time),
            Adjustment(id: "b", key: "W:1", .received, quantity: -1, at: time),
            Adjustment(id: "c", key: "W:1", .damaged, at: time),
            Adjustment(id: "d", key: "W:1", .reserved, quantity: 1, at: time),
            Adjustment(id: "e", key: "W:1", .channelDecided, at: time),
            Adjustment(id: "f", key: "W:1", .received, quantity: 1, at: time),
        ])
        #expect(answers.last == .accepted)
        for answer in answers.dropLast() {
            guard case .refused(let reason) = answer else {
                Issue.record("\(answer)")
                continue
            }
            #expect(!reason.isEmpty)
        }
        #expect(try await Self.count(shop) == 1)
        try await shop.engine.close()
    }
}
