import Foundation
import Tally
import Testing

@testable import TallyStateStore

/// A directory that goes away with the object, for one test's `state.db`.
final class ScratchDirectory {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "tally-state-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of the database file.
    var file: String { path + "/" + StateDatabase.fileName }
}

/// A record as a test writes it.
struct TestRecord {
    var key: String?
    var value: String?

    init(_ key: String?, _ value: String?) {
        self.key = key
        self.value = value
    }

    /// An event with a quantity field and whatever else is given as ready JSON members.
    static func event(
        _ type: String, _ amount: Int64? = nil, key: String? = "W:I", at recordedAt: Int64 = 1000,
        id: String? = nil, _ more: String = ""
    ) -> TestRecord {
        var json = "{\"eventType\":\"\(type)\",\"recordedAt\":\(recordedAt)"
        let field = type == "STOCK_ADJUSTED" ? "quantityDelta" : "quantity"
        if let amount { json += ",\"\(field)\":\(amount)" }
        if let id { json += ",\"eventId\":\"\(id)\"" }
        if !more.isEmpty { json += "," + more }
        return TestRecord(key, json + "}")
    }
}

extension InventoryProjection {
    /// Opens a projection of the topic `events` whose commits are dated 5000.
    static func opened(
        _ database: StateDatabase, topic: String = "events", generation: Generation = .live,
        window: Int64 = 1_000_000, cachedRowsMax: Int = 262_144
    ) throws -> InventoryProjection {
        var options = Options()
        options.deduplicationWindow = window
        options.cachedRowsMax = cachedRowsMax
        return try InventoryProjection(
            database: database, topic: topic, generation: generation, options: options,
            now: { Timestamp(milliseconds: 5000) })
    }

    /// Applies one record.
    @discardableResult
    func apply(
        _ record: TestRecord, partition: Int32 = 0, offset: Int64, epoch: Int32 = 0
    ) throws -> ApplyOutcome {
        try applyArrays(
            partition: partition, offset: Offset(offset), leaderEpoch: LeaderEpoch(epoch),
            timestamp: Timestamp(milliseconds: 77),
            key: record.key.map { Array($0.utf8) }, value: record.value.map { Array($0.utf8) })
    }

    /// Applies a record given as arrays, of which either may be missing.
    private func applyArrays(
        partition: Int32, offset: Offset, leaderEpoch: LeaderEpoch, timestamp: Timestamp,
        key: [UInt8]?, value: [UInt8]?
    ) throws -> ApplyOutcome {
        switch (key, value) {
        case (let key?, let value?):
            try apply(
                partition: partition, offset: offset, leaderEpoch: leaderEpoch,
                timestamp: timestamp, key: key.rawSpan, value: value.rawSpan)
        case (let key?, nil):
            try apply(
                partition: partition, offset: offset, leaderEpoch: leaderEpoch,
                timestamp: timestamp, key: key.rawSpan, value: nil)
        case (nil, let value?):
            try apply(
                partition: partition, offset: offset, leaderEpoch: leaderEpoch,
                timestamp: timestamp, key: nil, value: value.rawSpan)
        case (nil, nil):
            try apply(
                partition: partition, offset: offset, leaderEpoch: leaderEpoch,
                timestamp: timestamp, key: nil, value: nil)
        }
    }

    /// Applies records of one partition, from the offset `first` on, and gives what became of them.
    @discardableResult
    func applyAll(
        _ records: [TestRecord], partition: Int32 = 0, from first: Int64 = 0
    ) throws -> [ApplyOutcome] {
        try records.enumerated().map { index, record in
            try apply(record, partition: partition, offset: first + Int64(index))
        }
    }
}

extension StateDatabase {
    /// The only stock level there is.
    func onlyStock() throws -> StockLevel {
        let levels = try InventoryQueries(self).stock()
        try #require(levels.count == 1)
        return levels[0]
    }

    /// Fails the test when `verify` finds something.
    func expectSound(sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try verify() == [], sourceLocation: sourceLocation)
    }

    /// Runs SQL on the writing connection, as a test's way of meddling.
    func execute(_ sql: String) throws {
        try write { try $0.execute(sql: sql) }
    }
}

/// A generator of random numbers from a seed, which a failing test prints and `TALLY_SEED` sets.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    let seed: UInt64

    init() {
        seed =
            ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 1...UInt64.max)
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
