import TallyRecords
import TallyReplication
import TallyTestSupport
import Testing

@Suite("Records of a cluster")
struct ClusterRecordTests {
    static let topicID: UInt128 = 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF

    static let partition = PartitionRecord(
        topicID: topicID, partition: 2,
        state: PartitionState(
            replicas: ids(1, 2, 3), inSyncReplicas: ids(1, 2), leader: ReplicaID(1),
            leaderEpoch: LeaderEpoch(5), version: 9))

    static func ids(_ numbers: Int32...) -> [ReplicaID] { numbers.map { ReplicaID($0) } }

    /// A record, its bytes, and how they are read and written again.
    struct Sample: Sendable, CustomStringConvertible {
        let description: String
        let bytes: [UInt8]
        let again: @Sendable ([UInt8]) throws(ClusterRecordError) -> [UInt8]
    }

    static let samples: [Sample] = [
        Sample(
            description: "cluster",
            bytes: ClusterRecord(clusterID: "0123456789abcdefABCDEF").encoded()
        ) {
            bytes throws(ClusterRecordError) in try ClusterRecord(decoding: bytes).encoded()
        },
        Sample(
            description: "member",
            bytes: ClusterMember(
                id: ReplicaID(3), host: "10.0.0.3", port: 9092, rack: "west", incarnation: .max
            ).encoded()
        ) { bytes throws(ClusterRecordError) in try ClusterMember(decoding: bytes).encoded() },
        Sample(
            description: "controller",
            bytes: ControllerRecord(member: ReplicaID(3), incarnation: 7, epoch: 12).encoded()
        ) { bytes throws(ClusterRecordError) in try ControllerRecord(decoding: bytes).encoded() },
        Sample(description: "controller epoch", bytes: ControllerEpochRecord(epoch: 12).encoded()) {
            bytes throws(ClusterRecordError) in
            try ControllerEpochRecord(decoding: bytes).encoded()
        },
        Sample(
            description: "topic",
            bytes: TopicRecord(
                id: topicID, partitionCount: 12,
                configuration: ["retention.ms": "1000", "cleanup.policy": "compact", "z": "ä"]
            ).encoded()
        ) { bytes throws(ClusterRecordError) in try TopicRecord(decoding: bytes).encoded() },
        Sample(
            description: "partitions",
            bytes: PartitionBlock(
                partitions: [partition, other(3, target: ids(4, 5)), other(4), asked(5)]
            ).encoded()
        ) { bytes throws(ClusterRecordError) in try PartitionBlock(decoding: bytes).encoded() },
        Sample(
            description: "producer ids",
            bytes: ProducerIDsRecord(nextProducerID: 5000, lastMember: ReplicaID(1)).encoded()
        ) { bytes throws(ClusterRecordError) in try ProducerIDsRecord(decoding: bytes).encoded() },
    ]

    static func other(_ number: Int32, target: [ReplicaID]? = nil) -> PartitionRecord {
        PartitionRecord(
            topicID: topicID, partition: number,
            state: PartitionState(
                replicas: ids(7), inSyncReplicas: ids(7), leader: nil, leaderEpoch: LeaderEpoch(0),
                version: 0, target: target))
    }

    /// One whose leader is asked to let the preferred one lead.
    static func asked(_ number: Int32) -> PartitionRecord {
        var record = other(number)
        record.state.wantsPreferredLeader = true
        return record
    }

    @Test("the leader that is wanted is read again, and a plan that nobody knows is damage")
    func plans() throws {
        let read = try PartitionBlock(
            decoding: PartitionBlock(partitions: [Self.asked(5), Self.other(6)]).encoded())
        #expect(read.partitions.map(\.state.wantsPreferredLeader) == [true, false])
        var bytes = PartitionBlock(partitions: [Self.asked(5)]).encoded()
        #expect(bytes.last == 2)
        bytes[bytes.count - 1] = 3
        #expect(throws: ClusterRecordError.self) { try PartitionBlock(decoding: bytes) }
    }

    @Test("what is written is read again", arguments: samples)
    func roundTrip(sample: Sample) throws {
        #expect(try sample.again(sample.bytes) == sample.bytes)
    }

    @Test("what is cut, longer, or of another version is a typed error", arguments: samples)
    func damage(sample: Sample) throws {
        for count in 0..<sample.bytes.count {
            #expect(throws: ClusterRecordError.self) {
                try sample.again(Array(sample.bytes.prefix(count)))
            }
        }
        #expect(throws: ClusterRecordError.self) { try sample.again(sample.bytes + [0]) }
        #expect(throws: ClusterRecordError.self) {
            try sample.again([0] + sample.bytes.dropFirst())
        }
        let error = #expect(throws: ClusterRecordError.self) {
            try sample.again([2] + sample.bytes.dropFirst())
        }
        guard case .newerVersion(_, 2, 1)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("whatever the bytes are, they are a record or an error", arguments: samples)
    func fuzz(sample: Sample) {
        var generator = TallyTestSupport.SeededGenerator.fromEnvironment(sample.description)
        for _ in 0..<3000 {
            var bytes = sample.bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(
                    in: 0...255, using: &generator)
            }
            guard let again = try? sample.again(bytes) else { continue }
            // What is read is written the same, but for the order of a topic's settings.
            #expect(again == bytes || sample.description == "topic")
        }
    }

    @Test("the worked example of the format")
    func workedExample() throws {
        let text = """
            01 01 00112233445566778899aabbccddeeff 00000002 00000001 00000005 00000009
            03 00000001 00000002 00000003 02 00000001 00000002 00
            """
        let digits = text.filter { !$0.isWhitespace }
        let bytes = stride(from: 0, to: digits.count, by: 2).map { position in
            let start = digits.index(digits.startIndex, offsetBy: position)
            return UInt8(digits[start...].prefix(2), radix: 16) ?? 0
        }
        #expect(PartitionBlock(partitions: [Self.partition]).encoded() == bytes)
        #expect(try PartitionBlock(decoding: bytes).partitions == [Self.partition])
        // As FORMAT.md says of its size.
        var inSync = Self.partition
        inSync.state.inSyncReplicas = Self.ids(1, 2, 3)
        #expect(PartitionBlock(partitions: [inSync]).encoded().count == 2 + 59)
    }

    @Test("partitions that cannot be are damage")
    func impossible() {
        var partitions: [PartitionRecord] = []
        func changed(_ change: (inout PartitionRecord) -> Void) {
            var partition = Self.partition
            change(&partition)
            partitions.append(partition)
        }
        changed { $0.state.inSyncReplicas = [] }
        changed { $0.state.inSyncReplicas = Self.ids(1, 9) }
        changed { $0.state.leader = ReplicaID(3) }
        changed { $0.state.leader = ReplicaID(-2) }
        changed { $0.state.replicas = Self.ids(1, 2, 1) }
        changed { $0.state.leaderEpoch = .none }
        changed { $0.partition = -1 }
        changed { $0.state.target = [] }
        changed { $0.state.replicas = [] }
        for partition in partitions {
            #expect(throws: ClusterRecordError.self, "\(partition)") {
                try PartitionBlock(decoding: PartitionBlock(partitions: [partition]).encoded())
            }
        }
        #expect(throws: ClusterRecordError.self) {
            try PartitionBlock(
                decoding: PartitionBlock(partitions: [Self.partition, Self.partition]).encoded())
        }
    }

    @Test("keys are in the order of their numbers, and name what they were made of")
    func keys() {
        #expect(ClusterKeys.member(ReplicaID(3)) == "members/0000000003")
        #expect(ClusterKeys.partitionBlock(7) == "partitions/0007")
        for number: Int32 in [0, 9, 10, 9999, 10_000, .max] {
            let id = ReplicaID(number)
            #expect(ClusterKeys.memberID(of: ClusterKeys.member(id)) == id)
            #expect(
                ClusterKeys.partitionBlockNumber(of: ClusterKeys.partitionBlock(number)) == number)
        }
        #expect(ClusterKeys.topicName(of: ClusterKeys.topic("stock.eu")) == "stock.eu")
        for key in ["members/", "members/3", "members/-000000003", "members/000000000x", "x", ""] {
            #expect(ClusterKeys.memberID(of: key) == nil)
        }
        #expect(ClusterKeys.topicName(of: "topics/") == nil)
        #expect(ClusterKeys.partitionBlockNumber(of: "partitions/7") == nil)
    }

    @Test("one controller at a time, each in a higher epoch, and a deposed one changes nothing")
    func controllers() throws {
        var ledger = CoordinationLedger()
        var now = CoordinationInstant(milliseconds: 0)
        var deposed: CoordinationRevision?
        for term in 0..<4 {
            var lease = try ledger.grant(seconds: 10, now: now)
            func candidate(_ id: Int32) throws -> (ControllerRecord, CoordinationTransaction) {
                try #require(
                    try ControllerRecord.election(
                        of: ReplicaID(id), incarnation: 1, lease: lease.id,
                        epoch: ledger.entry(of: ClusterKeys.controllerEpoch)))
            }
            let (first, second) = (try candidate(1), try candidate(2))
            guard case .success(let revision) = try ledger.commit(first.1) else {
                Issue.record("a conflict")
                return
            }
            #expect(first.0.epoch == Int32(term))
            lease = try ledger.grant(seconds: 10, now: now)
            #expect(try ledger.commit(second.1) == .conflict)
            #expect(try ledger.commit(try candidate(2).1) == .conflict)
            let entry = try #require(ledger.entry(of: ClusterKeys.controller))
            #expect(try ControllerRecord(decoding: entry.value) == first.0)
            func change(by revision: CoordinationRevision) throws -> CoordinationTransaction {
                try CoordinationTransaction(
                    conditions: [ControllerRecord.fence(revision)],
                    operations: [.put(key: ClusterKeys.topic("t"), value: [])])
            }
            #expect(try ledger.commit(change(by: revision)) != .conflict)
            if let deposed { #expect(try ledger.commit(change(by: deposed)) == .conflict) }
            deposed = revision
            now = now.advanced(bySeconds: 10)
            ledger.expire(now: now)
            #expect(try ledger.commit(change(by: revision)) == .conflict)
        }
    }

    @Test("blocks of producer ids do not overlap, and end where the ids do")
    func producerIDs() throws {
        var ledger = CoordinationLedger()
        var blocks: [Range<Int64>] = []
        for member: Int32 in 0..<5 {
            let entry = ledger.entry(of: ClusterKeys.producerIDs)
            let mine = try #require(
                try ProducerIDsRecord.allocation(by: ReplicaID(member), entry: entry))
            let late = try #require(
                try ProducerIDsRecord.allocation(by: ReplicaID(9), entry: entry))
            #expect(try ledger.commit(mine.transaction) != .conflict)
            #expect(try ledger.commit(late.transaction) == .conflict)
            blocks.append(mine.block)
        }
        #expect(blocks.map(\.lowerBound) == [0, 1000, 2000, 3000, 4000])
        #expect(blocks.allSatisfy { $0.count == 1000 })
        let last = CoordinationEntry(
            key: ClusterKeys.producerIDs,
            value: ProducerIDsRecord(nextProducerID: .max - 10, lastMember: ReplicaID(0)).encoded(),
            modificationRevision: .init(1))
        #expect(try ProducerIDsRecord.allocation(by: ReplicaID(1), entry: last) == nil)
    }

    @Test("4,000 partitions fit into one transaction")
    func oneTransaction() throws {
        let blocks = (0..<63).map { block in
            PartitionBlock(
                partitions: (0..<64).map { number in
                    var partition = Self.partition
                    partition.partition = Int32(block * 64 + number)
                    return partition
                })
        }
        let transaction = try CoordinationTransaction(
            conditions: blocks.indices.map {
                .modified(key: ClusterKeys.partitionBlock(Int32($0)), revision: .init(1))
            } + [ControllerRecord.fence(.init(1))],
            operations: blocks.enumerated().map {
                .put(key: ClusterKeys.partitionBlock(Int32($0.offset)), value: $0.element.encoded())
            })
        #expect(transaction.operations.count == 63)
        #expect(blocks[0].room == 0)
    }
}
