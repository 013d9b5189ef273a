import Foundation
import Synchronization
import Tally
import TallyGroups
import TallyTestSupport
import Testing

@testable import TallyStateStore

@Suite("Groups and their offsets in state.db")
struct OffsetStoreTests {
    let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    private func open() throws -> SQLiteState {
        try SQLiteState.open(inDataDirectory: directory.path)
    }

    private static func offset(_ number: Int64, _ metadata: String = "") -> CommittedOffset {
        CommittedOffset(
            offset: Offset(number), leaderEpoch: LeaderEpoch(Int32(number % 7) - 1),
            metadata: metadata, commitTimestamp: Timestamp(milliseconds: number * 10),
            sequence: number)
    }

    private static let partition = TopicPartition(topic: "stock", partition: 0)

    @Test("what was applied is there after opening again, whole")
    func roundTrip() throws {
        let metadata = StoredGroupMetadata(
            generation: 7, protocolType: "consumer", emptySince: Timestamp(milliseconds: 99))
        let other = TopicPartition(topic: "stock", partition: 5)
        // Metadata is any text, also one that would end early in a text column.
        let note = "a\0b \u{1F600}"
        var state = try open()
        try state.offsets.apply([
            .metadata(group: "g", metadata),
            .offsets(group: "g", [Self.partition: Self.offset(3, note), other: Self.offset(4)]),
            .pendingOffsets(
                group: "g", producerID: 12, producerEpoch: 3, [other: Self.offset(9)]),
            .pendingOffsets(group: "h", producerID: 12, producerEpoch: 3, [:]),
        ])
        let expected = [
            StoredGroup(
                group: "g", metadata: metadata,
                offsets: [Self.partition: Self.offset(3, note), other: Self.offset(4)],
                pendingOffsets: [
                    PendingOffsets(
                        producerID: 12, producerEpoch: 3, offsets: [other: Self.offset(9)])
                ]),
            StoredGroup(
                group: "h",
                pendingOffsets: [PendingOffsets(producerID: 12, producerEpoch: 3, offsets: [:])]),
        ]
        for _ in 0..<2 {
            #expect(try state.offsets.loadGroups() == expected)
            try state.database.expectSound()
            try state.close()
            state = try open()
        }
        // A reader beside the writer sees the same, and changes nothing.
        let reader = try SQLiteState.read(inDataDirectory: directory.path)
        #expect(try reader.offsets.loadGroups() == expected)
        #expect(throws: OffsetStoreError.self) {
            try reader.offsets.apply([.deleteGroup(group: "g")])
        }
        #expect(throws: OffsetStoreError.self) {
            try reader.offsets.apply([.offsets(group: "g", [:]), .deleteGroup(group: "g")])
        }
    }

    @Test("it does what the store in memory does, whatever the changes")
    func model() throws {
        var generator = TallyTestSupport.SeededGenerator.fromEnvironment()
        let model = InMemoryOffsetStore()
        var state = try open()
        for step in 0..<400 {
            let changes = (0..<Int.random(in: 0..<4, using: &generator)).map { _ in
                Self.change(&generator)
            }
            try model.apply(changes)
            try state.offsets.apply(changes)
            if step % 20 == 0 {
                try state.close()
                state = try open()
            }
            let (expected, found) = (
                try Self.sorted(model.loadGroups()), try Self.sorted(state.offsets.loadGroups())
            )
            try #require(expected == found, "seed \(generator.seed), step \(step)")
        }
        try state.database.expectSound()
    }

    private static func sorted(_ groups: [StoredGroup]) -> [StoredGroup] {
        groups.map { group in
            var group = group
            group.pendingOffsets.sort { $0.producerID < $1.producerID }
            return group
        }.sorted { $0.group < $1.group }
    }

    private static func change(
        _ generator: inout TallyTestSupport.SeededGenerator
    ) -> OffsetStoreChange {
        let group = ["a", "b", "c'"].randomElement(using: &generator) ?? ""
        let producer = Int64.random(in: 0..<3, using: &generator)
        var offsets: [TopicPartition: CommittedOffset] = [:]
        for _ in 0..<Int.random(in: 0..<3, using: &generator) {
            let partition = TopicPartition(
                topic: ["s", "t"].randomElement(using: &generator) ?? "",
                partition: Int32.random(in: 0..<3, using: &generator))
            offsets[partition] = offset(.random(in: 0..<1000, using: &generator))
        }
        return switch Int.random(in: 0..<12, using: &generator) {
        case 0, 1:
            .metadata(
                group: group,
                StoredGroupMetadata(
                    generation: Int32.random(in: 0..<9, using: &generator),
                    protocolType: Bool.random(using: &generator) ? nil : "consumer"))
        case 2..<6: .offsets(group: group, offsets)
        case 6, 7, 8:
            .pendingOffsets(
                group: group, producerID: producer,
                producerEpoch: Int16.random(in: 0..<9, using: &generator), offsets)
        case 9: .removePendingOffsets(group: group, producerID: producer)
        case 10: .deleteOffsets(group: group, Set(offsets.keys))
        default: .deleteGroup(group: group)
        }
    }

    @Test("all changes of a call are made, or none")
    func atomic() throws {
        let state = try open()
        try state.offsets.apply([.offsets(group: "g", [Self.partition: Self.offset(1)])])
        let bad = TopicPartition(topic: "a\0b", partition: 0)
        for change in [
            OffsetStoreChange.offsets(group: "g", [bad: Self.offset(1)]),
            .offsets(group: "a\0", [Self.partition: Self.offset(1)]),
            .metadata(group: "g", StoredGroupMetadata(protocolType: "\0")),
        ] {
            do {
                try state.offsets.apply([
                    .offsets(group: "g", [Self.partition: Self.offset(2)]), change,
                ])
                Issue.record("\(change) was stored")
            } catch {
                #expect(error.reason.contains("NUL"))
                #expect(!error.isCorruption)
            }
        }
        let group = try #require(try state.offsets.loadGroups().first)
        #expect(group.offsets == [Self.partition: Self.offset(1)])
    }

    @Test("offsets of a topic that was deleted do not count for another of the same name")
    func identity() throws {
        let known = Mutex<[String: TopicID]>(["stock": TopicID.random()])
        var state = try open()
        func identify() {
            state.identifyTopics { topic in known.withLock { $0[topic] } }
        }
        identify()
        let other = TopicPartition(topic: "unknown", partition: 0)
        try state.offsets.apply([
            .offsets(group: "g", [Self.partition: Self.offset(3), other: Self.offset(4)]),
            .pendingOffsets(
                group: "g", producerID: 1, producerEpoch: 0, [Self.partition: Self.offset(5)]),
        ])
        func offsets() throws -> Set<TopicPartition> {
            try state.close()
            state = try open()
            identify()
            let group = try #require(try state.offsets.loadGroups().first)
            #expect(group.pendingOffsets[0].offsets.isEmpty == (group.offsets.count == 1))
            return Set(group.offsets.keys)
        }
        #expect(try offsets() == [Self.partition, other])
        // A topic that nobody knows may be one that cannot be read just now.
        let id = known.withLock { $0.removeValue(forKey: "stock") }
        #expect(try offsets() == [Self.partition, other])
        known.withLock { $0["stock"] = TopicID.random() }
        #expect(try offsets() == [other])
        known.withLock { $0["stock"] = id }
        #expect(try offsets() == [Self.partition, other])
        // A new commit is of the topic that there is; the one without an identity gets none.
        known.withLock { $0["stock"] = TopicID.random() }
        known.withLock { $0["unknown"] = TopicID.random() }
        try state.offsets.apply([
            .offsets(group: "g", [Self.partition: Self.offset(0)]),
            .pendingOffsets(
                group: "g", producerID: 1, producerEpoch: 0, [Self.partition: Self.offset(1)]),
        ])
        #expect(try offsets() == [Self.partition, other])
    }

    @Test("damage of a column is told as such")
    func damage() throws {
        let state = try open()
        try state.offsets.apply([.offsets(group: "g", [Self.partition: Self.offset(1)])])
        for sql in [
            "UPDATE group_offset SET leaderEpoch = 99999999999",
            "UPDATE group_offset SET leaderEpoch = 0, metadata = x'ff'",
            "UPDATE group_offset SET metadata = x'', partition = 99999999999",
        ] {
            try state.database.execute(sql)
            do {
                _ = try state.offsets.loadGroups()
                Issue.record("loaded after \(sql)")
            } catch {
                #expect(error.isCorruption, "\(error)")
            }
        }
    }

    /// A transactional id with a producer.
    private static func newID(_ producerID: Int64) -> String {
        """
        INSERT INTO transactional_id (name, producerId, producerEpoch, timeoutMilliseconds,
            state, updatedAt) VALUES ('t', \(producerID), 0, 1, 'Empty', 0)
        """
    }

    @Test("verifying finds rows that break a rule")
    func verify() throws {
        let state = try open()
        try state.offsets.apply([
            .offsets(group: "g", [Self.partition: Self.offset(1)]),
            .pendingOffsets(
                group: "g", producerID: 1, producerEpoch: 0, [Self.partition: Self.offset(5)]),
        ])
        try state.database.expectSound()
        for sql in [
            "UPDATE group_offset SET offset = -1", "UPDATE pending_offset SET leaderEpoch = -2",
            "UPDATE consumer_group SET generation = -1",
            "PRAGMA foreign_keys = OFF; DELETE FROM consumer_group",
            "DELETE FROM transaction_coordinator",
            // Of ids given out in blocks, one that was not; of drawn ones, one that never is.
            "UPDATE transaction_coordinator SET nextProducerId = 1000; \(Self.newID(1000))",
            Self.newID(-1), Self.newID(1 << 62),
        ] {
            let copy = try ScratchDirectory()
            try state.database.writer().writeWithoutTransaction {
                try $0.execute(sql: "VACUUM INTO '\(copy.file)'")
            }
            let meddled = try StateDatabase(directory: copy.path)
            try meddled.expectSound()
            try meddled.writer().writeWithoutTransaction { try $0.execute(sql: sql) }
            #expect(try !meddled.verify().isEmpty, "\(sql)")
        }
    }
}
