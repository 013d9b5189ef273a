import TallyTestSupport
import Testing

@testable import TallyGroups
@testable import TallyRecords

@Suite("Records of __consumer_offsets")
struct OffsetsTopicTests {
    @Test("a group's partition is the one that Java's hash of its id names")
    func partitions() {
        #expect(InternalTopic.javaHash(of: "") == 0)
        #expect(InternalTopic.javaHash(of: "hello") == 99_162_322)
        // The text whose hash is the number without a positive counterpart.
        #expect(InternalTopic.javaHash(of: "polygenelubricants") == .min)
        #expect(InternalTopic.partition(of: "polygenelubricants", count: 50) == 0)
        #expect(InternalTopic.partition(of: "hello", count: 50) == 22)
        // A negative hash counts by its amount, not by its lower bits.
        #expect(InternalTopic.javaHash(of: "inventory-projector") == -423104629)
        #expect(InternalTopic.partition(of: "inventory-projector", count: 50) == 29)
        // A sign of two UTF-16 units, each of which counts: 0xd83d * 31 + 0xde00.
        #expect(InternalTopic.javaHash(of: "😀") == 0xd83d * 31 + 0xde00)
    }

    private static let offsetKey: [UInt8] = [
        0, 1, 0, 1, 0x67, 0, 5, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0, 0, 0, 2,
    ]
    private static let offsetValue: [UInt8] = [
        0, 3, 0, 0, 0, 0, 0, 0, 1, 0x2c, 0, 0, 0, 7, 0, 2, 0x6f, 0x6b,
        0, 0, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0,
    ]

    @Test("the example of FORMAT.md")
    func example() throws {
        let key = OffsetsTopicKey.offset(group: "g", TopicPartition(topic: "stock", partition: 2))
        let value = OffsetCommitValue(
            offset: Offset(300), leaderEpoch: LeaderEpoch(7), metadata: "ok",
            commitTimestamp: Timestamp(milliseconds: 1_700_000_000_000))
        #expect(try key.encoded() == Self.offsetKey)
        #expect(try value.encoded() == Self.offsetValue)
        #expect(try OffsetsTopicKey(decoding: Self.offsetKey) == key)
        #expect(try OffsetCommitValue(decoding: Self.offsetValue) == value)
        #expect(try OffsetsTopicKey.group("g").encoded() == [0, 2, 0, 1, 0x67])
    }

    @Test("every version of an offset is read, as far as it goes")
    func offsetVersions() throws {
        let time: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 5]
        let offset: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 9]
        var expected = OffsetCommitValue(
            offset: Offset(9), metadata: "m", commitTimestamp: Timestamp(milliseconds: 5))
        for version: UInt8 in [0, 2] {
            let bytes = [0, version] + offset + [0, 1, 0x6d] + time
            #expect(try OffsetCommitValue(decoding: bytes) == expected)
            #expect(try expected.encoded(version: Int16(version)) == bytes)
        }
        expected.expireTimestamp = Timestamp(milliseconds: 5)
        let first = [0, 1] + offset + [0, 1, 0x6d] + time + time
        #expect(try OffsetCommitValue(decoding: first) == expected)
        #expect(try expected.encoded(version: 1) == first)
        expected.expireTimestamp = .none
        expected.leaderEpoch = LeaderEpoch(3)
        expected.topicID = Array(1...16)
        // Flexible: the length of the text and one, one tagged field 0 of 16 bytes.
        let fourth = [0, 4] + offset + [0, 0, 0, 3, 2, 0x6d] + time + [1, 0, 16] + Array(1...16)
        #expect(try OffsetCommitValue(decoding: fourth) == expected)
        #expect(try expected.encoded(version: 4) == fourth)
        // A tag that only a newer program knows is passed over.
        let tagged = [0, 4] + offset + [0, 0, 0, 3, 2, 0x6d] + time + [1, 9, 2, 1, 1]
        expected.topicID = nil
        #expect(try OffsetCommitValue(decoding: tagged) == expected)
    }

    @Test("a group with its members is written as Kafka 4.0 does")
    func group() throws {
        let member = StoredMember(
            memberID: "a-1", instanceID: nil, clientID: "a", clientHost: "/h",
            rebalanceTimeoutMilliseconds: 300_000, sessionTimeoutMilliseconds: 45_000,
            subscription: [1, 2], assignment: [])
        let value = GroupMetadataValue(
            protocolType: "consumer", generation: 4, protocolName: "range", leaderID: "a-1",
            currentStateTimestamp: Timestamp(milliseconds: 6), members: [member])
        var bytes: [UInt8] = [0, 3, 0, 8] + Array("consumer".utf8) + [0, 0, 0, 4]
        bytes += [0, 5] + Array("range".utf8) + [0, 3] + Array("a-1".utf8)
        bytes += [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 1]
        bytes += [0, 3] + Array("a-1".utf8) + [0xff, 0xff, 0, 1, 0x61, 0, 2, 0x2f, 0x68]
        bytes += [0, 4, 0x93, 0xe0, 0, 0, 0xaf, 0xc8, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0]
        #expect(try value.encoded() == bytes)
        #expect(try GroupMetadataValue(decoding: bytes) == value)
        for version: Int16 in 0...4 {
            let read = try GroupMetadataValue(decoding: try value.encoded(version: version))
            #expect(read.generation == 4 && read.members.count == 1)
            #expect(read.members[0].sessionTimeoutMilliseconds == 45_000)
            // The first version knew one time for both.
            #expect(
                read.members[0].rebalanceTimeoutMilliseconds == (version == 0 ? 45_000 : 300_000))
            #expect((read.currentStateTimestamp == .none) == (version < 2))
        }
    }

    @Test("cut and changed bytes give a value or an error, at every place")
    func damaged() throws {
        var generator = SeededGenerator.fromEnvironment()
        let group = GroupMetadataValue(
            protocolType: "consumer", generation: 1, protocolName: nil, leaderID: "x",
            members: [
                StoredMember(
                    memberID: "m", instanceID: "i", clientID: "c", clientHost: "h",
                    rebalanceTimeoutMilliseconds: 1, sessionTimeoutMilliseconds: 2,
                    subscription: [9], assignment: [8])
            ])
        let offset = OffsetCommitValue(
            offset: Offset(1), metadata: "ä", commitTimestamp: Timestamp(milliseconds: 3),
            topicID: Array(repeating: 7, count: 16))
        var all: [([UInt8], ([UInt8]) throws -> Void)] = [
            (Self.offsetKey, { _ = try OffsetsTopicKey(decoding: $0) }),
            ([0, 2, 0, 1, 0x67], { _ = try OffsetsTopicKey(decoding: $0) }),
        ]
        for version: Int16 in 0...4 {
            all.append(
                (
                    try group.encoded(version: version),
                    { _ = try GroupMetadataValue(decoding: $0).encoded() }
                ))
            all.append(
                (
                    try offset.encoded(version: version),
                    { _ = try OffsetCommitValue(decoding: $0).encoded() }
                ))
        }
        for (bytes, read) in all {
            try read(bytes)
            for length in 0..<bytes.count {
                #expect(throws: CoordinatorRecordError.self) { try read(Array(bytes[..<length])) }
            }
            #expect(throws: CoordinatorRecordError.self) { try read(bytes + [0]) }
            for _ in 0..<2000 {
                var changed = bytes
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    changed[Int.random(in: 0..<changed.count, using: &generator)] =
                        .random(in: 0...255, using: &generator)
                }
                do { try read(changed) } catch is CoordinatorRecordError {}
            }
        }
        #expect(throws: CoordinatorRecordError.badValue(field: "offset", value: -1)) {
            try OffsetCommitValue(
                decoding: [0, 0] + Array(repeating: 0xff, count: 8) + [0, 0]
                    + Array(repeating: 0, count: 8))
        }
        #expect(throws: CoordinatorRecordError.unknownVersion(of: "the value of an offset", 5)) {
            try OffsetCommitValue(decoding: [0, 5])
        }
        #expect(throws: CoordinatorRecordError.badVarint(position: 14)) {
            try OffsetCommitValue(
                decoding: [0, 4] + Array(repeating: 0, count: 12)
                    + [0xff, 0xff, 0xff, 0xff, 0x7f])
        }
    }

    // MARK: Changes and what is read back

    private func offset(_ value: Int64, _ metadata: String = "") -> CommittedOffset {
        CommittedOffset(
            offset: Offset(value), leaderEpoch: LeaderEpoch(2), metadata: metadata,
            commitTimestamp: Timestamp(milliseconds: 1000 + value))
    }

    private let first = TopicPartition(topic: "t", partition: 0)
    private let second = TopicPartition(topic: "t", partition: 1)

    /// Reads batches as if they had been appended one behind the other; returns the next offset.
    @discardableResult
    private func append(
        _ changes: [OffsetStoreChange], to replay: inout OffsetsTopicReplay, at start: Int64
    ) throws -> Int64 {
        var next = start
        for batch in try OffsetsTopicBatch.batches(of: changes, count: 1) {
            for record in batch.records {
                try replay.read(record, at: Offset(next), in: batch.producer)
                next += 1
            }
        }
        return next
    }

    @Test("changes become records by partition, in order, and are read back as they were")
    func changes() throws {
        var metadata = StoredGroupMetadata(generation: 3, protocolType: "consumer")
        metadata.emptySince = Timestamp(milliseconds: 77)
        let changes: [OffsetStoreChange] = [
            .metadata(group: "g", metadata), .offsets(group: "g", [first: offset(1, "note")]),
            .offsets(group: "simple", [second: offset(5)]),
            .pendingOffsets(group: "g", producerID: 9, producerEpoch: 1, [second: offset(6)]),
            .offsets(group: "g", [first: offset(2)]),
            .deleteOffsets(group: "simple", [second]),
        ]
        let batches = try OffsetsTopicBatch.batches(of: changes, count: 1)
        // The transaction's records are a batch of their own, and what follows stays behind them.
        #expect(batches.map(\.records.count) == [3, 1, 2])
        #expect(batches[1].producer == BatchProducer(id: 9, epoch: 1, baseSequence: -1))
        #expect(batches.flatMap(\.changes) == changes)

        var replay = OffsetsTopicReplay()
        let next = try append(changes, to: &replay, at: 100)
        #expect(next == 106)
        var groups = replay.groups
        #expect(groups.map(\.group) == ["g"])
        #expect(groups[0].metadata == metadata)
        #expect(groups[0].offsets[first]?.offset == Offset(2))
        #expect(groups[0].offsets[first]?.sequence == 104)
        #expect(groups[0].pendingOffsets.map(\.producerID) == [9])
        replay.endTransaction(ofProducer: 9, isCommitted: true)
        groups = replay.groups
        #expect(groups[0].offsets[second]?.offset == Offset(6))
        #expect(groups[0].pendingOffsets.isEmpty)
        try append(
            [.deleteOffsets(group: "g", [first, second]), .deleteGroup(group: "g")], to: &replay,
            at: next)
        #expect(replay.groups.isEmpty && replay.unknownCount == 0)
    }

    @Test("an aborted transaction leaves nothing, and a committed one not what is older")
    func transactions() throws {
        var replay = OffsetsTopicReplay()
        try append(
            [
                .pendingOffsets(
                    group: "g", producerID: 1, producerEpoch: 0, [first: offset(10)]),
                .pendingOffsets(
                    group: "g", producerID: 2, producerEpoch: 0, [second: offset(20)]),
                .offsets(group: "g", [first: offset(30)]),
            ], to: &replay, at: 0)
        replay.endTransaction(ofProducer: 2, isCommitted: false)
        replay.endTransaction(ofProducer: 1, isCommitted: true)
        // The commit outside of the transaction came later.
        #expect(replay.groups[0].offsets == [first: offset(30).numbered(2)])
        // A marker that is there twice says nothing new.
        replay.endTransaction(ofProducer: 2, isCommitted: true)
        #expect(replay.groups[0].offsets.count == 1)
    }

    @Test("kinds of records that are not known are passed over and counted; damage is an error")
    func unknown() throws {
        var replay = OffsetsTopicReplay()
        // The key of a group of the newer protocol (version 3).
        try replay.read(
            CoordinatorRecord(key: [0, 3, 0, 1, 0x67], value: [0, 0]), at: .zero)
        #expect(replay.unknownCount == 1 && replay.groups.isEmpty)
        #expect(throws: CoordinatorRecordError.self) {
            try replay.read(
                CoordinatorRecord(key: Self.offsetKey, value: [0, 3, 1]), at: Offset(1))
        }
        #expect(throws: CoordinatorRecordError.self) {
            try replay.read(CoordinatorRecord(key: [0], value: nil), at: Offset(2))
        }
    }

    @Test("an offset is of the topic that had the name then, and of no other")
    func identities() throws {
        let id = Array(UInt8(1)...16)
        let batches = try OffsetsTopicBatch.batches(
            of: [.offsets(group: "g", [first: offset(1)])], count: 1, identify: { _ in id })
        let record = batches[0].records[0]
        #expect(record.value?.prefix(2) == [0, 4])
        for (current, count) in [(id, 1), (Array(repeating: 9, count: 16), 0)] {
            var replay = OffsetsTopicReplay { topic, found in topic == "t" && found == current }
            try replay.read(record, at: .zero)
            #expect(replay.groups.count == count)
        }
    }

    @Test("members are kept as they are")
    func members() throws {
        var metadata = StoredGroupMetadata(generation: 8, protocolType: "consumer")
        metadata.protocolName = "range"
        metadata.leaderID = "m"
        metadata.members = [
            StoredMember(
                memberID: "m", instanceID: "i", clientID: "c", clientHost: "h",
                rebalanceTimeoutMilliseconds: 1, sessionTimeoutMilliseconds: 2, subscription: [3],
                assignment: [4])
        ]
        var replay = OffsetsTopicReplay()
        try append([.metadata(group: "g", metadata)], to: &replay, at: 0)
        #expect(replay.groups.map(\.metadata) == [metadata])
        // Between two generations there are none, and nobody has said since when.
        metadata = StoredGroupMetadata(generation: 9, protocolType: "consumer")
        try append([.metadata(group: "g", metadata)], to: &replay, at: 1)
        #expect(replay.groups.map(\.metadata) == [metadata])
    }
}

extension CommittedOffset {
    fileprivate func numbered(_ sequence: Int64) -> CommittedOffset {
        var offset = self
        offset.sequence = sequence
        return offset
    }
}
