import TallyGroups
import TallyRecords
import Testing

@Suite("InMemoryOffsetStore")
struct InMemoryOffsetStoreTests {
    static let first = TopicPartition(topic: "stock", partition: 0)
    static let second = TopicPartition(topic: "stock", partition: 1)

    static func offset(_ number: Int64) -> CommittedOffset {
        CommittedOffset(offset: Offset(number), commitTimestamp: Timestamp(milliseconds: 5))
    }

    @Test("changes of one call are made in order, and what they do not name stays")
    func changes() throws {
        let store = InMemoryOffsetStore()
        let metadata = StoredGroupMetadata(generation: 3, protocolType: "consumer")
        try store.apply([
            .offsets(group: "b", [Self.first: Self.offset(1), Self.second: Self.offset(2)]),
            .offsets(group: "b", [Self.first: Self.offset(7)]),
            .metadata(group: "b", metadata),
            .offsets(group: "a", [Self.first: Self.offset(4)]),
        ])
        try store.apply([.deleteOffsets(group: "b", [Self.second])])
        #expect(
            try store.loadGroups() == [
                StoredGroup(group: "a", offsets: [Self.first: Self.offset(4)]),
                StoredGroup(
                    group: "b", metadata: metadata, offsets: [Self.first: Self.offset(7)]),
            ])
        try store.apply([
            .deleteGroup(group: "a"), .deleteGroup(group: "none"),
            .deleteOffsets(group: "none", [Self.first]),
        ])
        #expect(try store.loadGroups().map(\.group) == ["b"])
    }

    @Test("pending offsets are kept by producer until they are removed")
    func pending() throws {
        let store = InMemoryOffsetStore()
        try store.apply([
            .pendingOffsets(
                group: "g", producerID: 9, producerEpoch: 0, [Self.first: Self.offset(1)]),
            .pendingOffsets(
                group: "g", producerID: 8, producerEpoch: 4, [Self.first: Self.offset(2)]),
            .pendingOffsets(
                group: "g", producerID: 9, producerEpoch: 1, [Self.second: Self.offset(3)]),
        ])
        let eight = PendingOffsets(
            producerID: 8, producerEpoch: 4, offsets: [Self.first: Self.offset(2)])
        let nine = PendingOffsets(
            producerID: 9, producerEpoch: 1,
            offsets: [Self.first: Self.offset(1), Self.second: Self.offset(3)])
        #expect(try store.loadGroups().first?.pendingOffsets == [nine, eight])
        #expect(try store.loadGroups().first?.offsets == [:])
        try store.apply([
            .offsets(group: "g", nine.offsets), .removePendingOffsets(group: "g", producerID: 9),
        ])
        #expect(
            try store.loadGroups() == [
                StoredGroup(group: "g", offsets: nine.offsets, pendingOffsets: [eight])
            ])
    }
}
