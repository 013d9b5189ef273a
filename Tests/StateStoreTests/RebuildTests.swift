import Foundation
import Synchronization
import Tally
import Testing

@testable import TallyStateStore

@Suite("Rebuilding")
struct RebuildTests {
    let directory: ScratchDirectory
    let database: StateDatabase

    init() throws {
        directory = try ScratchDirectory()
        database = try StateDatabase(directory: directory.path)
        let live = try InventoryProjection.opened(database)
        try live.applyAll([.event("STOCK_RECEIVED", 1), TestRecord(nil, "{")])
        try live.commit()
    }

    @Test("what was projected from one topic is forgotten, and nothing of another")
    func forgetting() throws {
        let other = try InventoryProjection.opened(database, topic: "others")
        try other.applyAll([.event("STOCK_RECEIVED", 7)])
        try other.commit()
        let rebuild = try InventoryProjection.opened(database, generation: .rebuild)
        try rebuild.applyAll([.event("STOCK_RECEIVED", 1)])
        try rebuild.commit()
        try database.forget(topic: "events")
        try database.forget(topic: "never there")
        let queries = InventoryQueries(database)
        #expect(try queries.topics() == ["others"])
        #expect(try queries.stock().map(\.onHand) == [7])
        #expect(try queries.deadLetterCount() == 0)
        try database.expectSound()
        let again = try InventoryProjection.opened(database)
        #expect(try again.position(partition: 0) == nil)
    }

    @Test("the live rows stay until the swap, which brings rows and positions together")
    func swap() throws {
        let queries = InventoryQueries(database)
        let before = try queries.status()
        let rebuild = try InventoryProjection.opened(database, generation: .rebuild)
        #expect(try rebuild.position(partition: 0) == nil)
        try rebuild.applyAll([
            .event("STOCK_RECEIVED", 1), .event("STOCK_RECEIVED", 1),
            .event("STOCK_RECEIVED", 1, key: "W:J", id: "a"), .event("MANUAL_OVERRIDE"),
        ])
        try rebuild.commit()
        #expect(try database.onlyStock().onHand == 1)
        #expect(try queries.status().first?.partitions == before.first?.partitions)
        #expect(try queries.status().first?.rebuildStartedAt?.rawValue == 5000)
        #expect(try queries.deadLetterCount() == 1)
        try database.expectSound()

        try rebuild.finishRebuild()
        #expect(try queries.stock().map(\.onHand) == [2, 1])
        #expect(try queries.deadLetterCount() == 0)
        #expect(try queries.audits().count == 1)
        let status = try #require(try queries.status().first)
        #expect(status.partitions.map(\.nextOffset) == [Offset(4)])
        #expect(status.generation == 2 && status.rebuildStartedAt == nil)
        try database.expectSound()

        // It is the live projection now.
        #expect(rebuild.generation == .live)
        #expect(
            try rebuild.apply(.event("STOCK_RECEIVED", 1, key: "W:J", id: "a"), offset: 4)
                == .duplicate)
        try rebuild.apply(.event("STOCK_RECEIVED", 1), offset: 5)
        try rebuild.commit()
        #expect(try queries.stock().map(\.onHand) == [3, 1])
        #expect(throws: StateStoreError.notARebuild(topic: "events")) {
            try rebuild.finishRebuild()
        }
        try database.expectSound()
    }

    @Test("the live projection goes on during a rebuild and is overtaken by the swap")
    func liveWriterDuringRebuild() throws {
        let live = try InventoryProjection.opened(database)
        let rebuild = try InventoryProjection.opened(database, generation: .rebuild)
        try rebuild.applyAll([.event("STOCK_RECEIVED", 1), .event("STOCK_RECEIVED", 10)])
        try rebuild.commit()
        try live.apply(.event("STOCK_RECEIVED", 4), offset: 2)
        try live.commit()
        #expect(try database.onlyStock().onHand == 5)
        try live.apply(.event("STOCK_RECEIVED", 4), offset: 3)
        try rebuild.finishRebuild()
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) { try live.commit() }
        #expect(try database.onlyStock().onHand == 11)
        // It goes on where the rebuild stopped, over what it had applied to the old rows.
        #expect(try live.position(partition: 0)?.next == Offset(2))
        try live.applyAll([.event("STOCK_RECEIVED", 4), .event("STOCK_RECEIVED", 4)], from: 2)
        try live.commit()
        #expect(try database.onlyStock().onHand == 19)
        try database.expectSound()
    }

    @Test("a rebuild that was cut off is swept away when the database is opened")
    func sweeping() throws {
        let rebuild = try InventoryProjection.opened(database, generation: .rebuild)
        try rebuild.applyAll(Array(repeating: .event("STOCK_RECEIVED", 7, id: "a"), count: 3))
        try rebuild.commit()
        let reopened = try StateDatabase(directory: directory.path)
        for (table, _) in TableSet.columns {
            let count = try reopened.read {
                try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM \(table)_next")
            }
            #expect(count == 0)
        }
        #expect(try reopened.onlyStock().onHand == 1)
        try reopened.expectSound()
        // The one that was swept away cannot come back, not even after another has begun.
        try rebuild.apply(.event("STOCK_RECEIVED", 7), offset: 3)
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) { try rebuild.commit() }
        let second = try InventoryProjection.opened(reopened, generation: .rebuild)
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) {
            try rebuild.apply(.event("STOCK_RECEIVED", 7), offset: 0)
        }
        try second.apply(.event("STOCK_RECEIVED", 2), offset: 0)
        try second.finishRebuild()
        #expect(try reopened.onlyStock().onHand == 2)
    }

    @Test("a second rebuild takes the place of the first")
    func secondRebuild() throws {
        let first = try InventoryProjection.opened(database, generation: .rebuild)
        try first.apply(.event("STOCK_RECEIVED", 7), offset: 0)
        let second = try InventoryProjection.opened(database, generation: .rebuild)
        try second.apply(.event("STOCK_RECEIVED", 2), offset: 0)
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) {
            try first.finishRebuild()
        }
        try second.commit()
        try second.finishRebuild()
        #expect(try database.onlyStock().onHand == 2)
    }

    @Test("an abandoned rebuild leaves nothing behind")
    func abandoning() throws {
        let rebuild = try InventoryProjection.opened(database, generation: .rebuild)
        try rebuild.apply(.event("STOCK_RECEIVED", 7), offset: 0)
        try rebuild.commit()
        try rebuild.abandonRebuild()
        try database.expectSound()
        #expect(try database.onlyStock().onHand == 1)
        #expect(try InventoryQueries(database).status().first?.rebuildStartedAt == nil)
        #expect(throws: StateStoreError.self) { try rebuild.commit() }
    }

    @Test("a swap that fails leaves the live rows as they were")
    func failedSwap() throws {
        let rebuild = try InventoryProjection.opened(database, generation: .rebuild)
        try rebuild.apply(.event("STOCK_RECEIVED", 7), offset: 0)
        try rebuild.commit()
        try database.execute(
            """
            CREATE TRIGGER fails BEFORE INSERT ON dead_letter_next
            BEGIN SELECT RAISE(ABORT, 'no'); END;
            CREATE TRIGGER failsToo BEFORE UPDATE OF generation ON projection
            BEGIN SELECT RAISE(ABORT, 'no'); END;
            """)
        #expect(throws: StateStoreError.self) { try rebuild.finishRebuild() }
        #expect(try database.onlyStock().onHand == 1)
        try database.expectSound()
        try database.execute("DROP TRIGGER fails; DROP TRIGGER failsToo;")
        try rebuild.finishRebuild()
        #expect(try database.onlyStock().onHand == 7)
    }

    @Test("queries answer all along, and see the old rows or the new ones")
    func queriesDuringRebuild() throws {
        let keys = 500
        func fill(_ projection: InventoryProjection, rounds: Int, _ between: () throws -> Void)
            throws
        {
            for offset in 0..<keys * rounds {
                try projection.apply(
                    .event("STOCK_RECEIVED", 1, key: "W:\(offset % keys)"), offset: Int64(offset))
                if offset % 777 == 776 {
                    try projection.commit()
                    try between()
                }
            }
        }
        let live = try InventoryProjection.opened(database, topic: "busy")
        try fill(live, rounds: 1) {}
        try live.commit()
        let reader = try BusyReader(directory: directory.path)
        reader.start()
        for rounds in 2...6 {
            let rebuild = try InventoryProjection.opened(
                database, topic: "busy", generation: .rebuild)
            try fill(rebuild, rounds: rounds) { try reader.waitForAnswer() }
            try rebuild.finishRebuild()
            try reader.waitForAnswer()
        }
        reader.isDone.store(true, ordering: .releasing)
        #expect(reader.sums.withLock { $0 } == Set((1...6).map { [Int64($0)] }))
        #expect(try InventoryQueries(database).status(topic: "busy").first?.generation == 6)
    }
}

/// A thread that asks for all stock of the topic `busy`, again and again, as another process would.
private final class BusyReader: Sendable {
    let isDone = Atomic(false)
    /// The different quantities that were seen in one answer.
    let sums = Mutex<Set<Set<Int64>>>([])
    private let answers = Atomic(0)
    private let failure = Mutex<(any Error)?>(nil)
    private let database: StateDatabase

    init(directory: String) throws {
        database = try StateDatabase(readingDirectory: directory)
    }

    func start() {
        Thread.detachNewThread { [self] in
            var query = StockQuery()
            query.topic = "busy"
            while !isDone.load(ordering: .acquiring) {
                do {
                    let levels = try InventoryQueries(database).stock(query)
                    sums.withLock { _ = $0.insert(Set(levels.map(\.onHand))) }
                } catch {
                    failure.withLock { $0 = error }
                }
                answers.add(1, ordering: .releasing)
            }
        }
    }

    /// Waits until a question that was asked after this call is answered.
    func waitForAnswer() throws {
        let before = answers.load(ordering: .acquiring)
        while answers.load(ordering: .acquiring) < before + 2 {
            Thread.sleep(forTimeInterval: 0.001)
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
