import TallyTestSupport
import Testing

@testable import TallyRecords
@testable import TallyTransactions

@Suite("Records of __transaction_state")
struct StateTopicTests {
    private static let plain: [UInt8] =
        [0, 0] + [0, 0, 0, 0, 0, 0, 3, 0xe8] + [0, 5] + [0, 0, 0xea, 0x60] + [1]
        + [0, 0, 0, 1, 0, 1, 0x74, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]
        + [0, 0, 0, 0, 0, 0, 0, 9] + [0, 0, 0, 0, 0, 0, 0, 8]

    private var ongoing: TransactionLogValue {
        TransactionLogValue(
            producerID: 1000, producerEpoch: 5, timeoutMilliseconds: 60_000, status: 1,
            partitions: [
                TopicPartition(topic: "t", partition: 0), TopicPartition(topic: "t", partition: 3),
            ], lastUpdateTimestamp: Timestamp(milliseconds: 9),
            startTimestamp: Timestamp(milliseconds: 8))
    }

    @Test("the first version is written as Kafka does")
    func plainVersion() throws {
        #expect(try ongoing.encoded(version: 0) == Self.plain)
        #expect(try TransactionLogValue(decoding: Self.plain) == ongoing)
        var empty = ongoing
        empty.partitions = nil
        let bytes = try empty.encoded(version: 0)
        #expect(Array(bytes[17..<21]) == [0xff, 0xff, 0xff, 0xff])
        #expect(try TransactionLogValue(decoding: bytes) == empty)
        #expect(try TransactionLogKey.transactionalID("id").encoded() == [0, 0, 0, 2, 0x69, 0x64])
    }

    @Test("the example of FORMAT.md: the second version, with its tagged fields")
    func flexible() throws {
        var value = ongoing
        value.previousProducerID = 1000
        value.clientTransactionVersion = 2
        let bytes: [UInt8] =
            [0, 1] + [0, 0, 0, 0, 0, 0, 3, 0xe8] + [0, 5] + [0, 0, 0xea, 0x60] + [1]
            + [2, 2, 0x74, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0]
            + [0, 0, 0, 0, 0, 0, 0, 9] + [0, 0, 0, 0, 0, 0, 0, 8]
            + [2, 0, 8, 0, 0, 0, 0, 0, 0, 3, 0xe8, 2, 2, 0, 2]
        #expect(try value.encoded() == bytes)
        #expect(try TransactionLogValue(decoding: bytes) == value)
        value.nextProducerID = 7
        value.partitions = nil
        #expect(try TransactionLogValue(decoding: try value.encoded()) == value)
        // A tag that only a newer program knows is passed over.
        let newer = Array(bytes.dropLast(15)) + [1, 3, 2, 0, 7]
        #expect(try TransactionLogValue(decoding: newer).previousProducerID == -1)
    }

    @Test("cut and changed bytes give a value or an error, at every place")
    func damaged() throws {
        var generator = SeededGenerator.fromEnvironment()
        var value = ongoing
        value.previousProducerID = 3
        for bytes in [Self.plain, try value.encoded()] {
            for length in 0..<bytes.count {
                #expect(throws: CoordinatorRecordError.self) {
                    try TransactionLogValue(decoding: Array(bytes[..<length]))
                }
            }
            for _ in 0..<5000 {
                var changed = bytes
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    changed[Int.random(in: 0..<changed.count, using: &generator)] =
                        .random(in: 0...255, using: &generator)
                }
                do {
                    let read = try TransactionLogValue(decoding: changed)
                    _ = try read.encoded()
                    _ = try TransactionRecord(transactionalID: "t", read).verify()
                } catch {
                    // One of its own errors: nothing else can be thrown.
                }
            }
        }
        #expect(throws: CoordinatorRecordError.self) {
            try TransactionLogValue(decoding: [0, 2])
        }
        #expect(try TransactionLogKey(decoding: [0, 1, 9]) == .unknown(version: 1))
        #expect(throws: CoordinatorRecordError.self) { try TransactionLogKey(decoding: [0, 0, 9]) }
    }

    /// A record as the coordinator makes it, in every state and with every kind of producer.
    private static func records() -> [TransactionRecord] {
        var all: [TransactionRecord] = []
        for state in TransactionState.allCases
        where state != .dead && state != .prepareEpochFence {
            for previous in [nil, (7, 3), (7, 4), (6, ProducerIdentity.epochMax)]
                as [(Int64, Int16)?]
            {
                for next in [nil, 11] as [Int64?] {
                    var record = TransactionRecord(
                        transactionalID: "t", producer: ProducerIdentity(id: 7, epoch: 4),
                        timeoutMilliseconds: 5000, updatedAt: Timestamp(milliseconds: 50))
                    record.state = state
                    record.previous = previous.map { ProducerIdentity(id: $0.0, epoch: $0.1) }
                    // Only who has ended something can have kept its epoch.
                    if record.hasKeptEpoch, state.decision == nil { continue }
                    if let next {
                        guard state.isPrepared else { continue }
                        record.next = ProducerIdentity(id: next, epoch: 0)
                    }
                    if state == .ongoing || state.isPrepared {
                        record.startedAt = Timestamp(milliseconds: 40)
                        record.partitions = [TopicPartition(topic: "t", partition: 1)]
                    }
                    all.append(record)
                }
            }
        }
        return all
    }

    @Test("what is known of a transactional id is the same when it is read back")
    func recordsAreKept() throws {
        let all = Self.records()
        #expect(all.count > 20)
        for record in all {
            let value = TransactionLogValue(record, offsetsPartitionCount: 50)
            let read = try TransactionLogValue(decoding: try value.encoded())
            #expect(try TransactionRecord(transactionalID: "t", read) == record)
        }
    }

    @Test("groups are the partitions of __consumer_offsets that keep them")
    func groups() throws {
        var record = TransactionRecord(
            transactionalID: "t", producer: ProducerIdentity(id: 7, epoch: 4),
            timeoutMilliseconds: 5000, updatedAt: Timestamp(milliseconds: 50))
        record.state = .ongoing
        record.startedAt = Timestamp(milliseconds: 40)
        record.groups = ["hello", "polygenelubricants"]
        let value = TransactionLogValue(record, offsetsPartitionCount: 50)
        #expect(
            value.partitions == [
                TopicPartition(topic: "__consumer_offsets", partition: 0),
                TopicPartition(topic: "__consumer_offsets", partition: 22),
            ])
        let read = try TransactionRecord(transactionalID: "t", value)
        #expect(read.groups.isEmpty && read.partitions.count == 2)
    }

    @Test("of each id the last record counts; what Kafka writes before it forgets one is none")
    func replay() throws {
        var replay = TransactionTopicReplay()
        func read(_ id: String, _ value: TransactionLogValue?) throws {
            try replay.read(
                CoordinatorRecord(
                    key: try TransactionLogKey.transactionalID(id).encoded(),
                    value: try value?.encoded()))
        }
        try read("a", ongoing)
        try read("b", ongoing)
        try read("c", ongoing)
        try read("b", nil)
        var dead = ongoing
        dead.status = TransactionState.dead.number
        try read("c", dead)
        try replay.read(CoordinatorRecord(key: [0, 9], value: [1]))
        #expect(replay.records.map(\.transactionalID) == ["a"])
        #expect(replay.unknownCount == 1 && replay.knownCount == 5)
        #expect(throws: CoordinatorRecordError.self) {
            try replay.read(CoordinatorRecord(key: [0, 0, 0, 1, 0x61], value: [0, 1, 2]))
        }
        dead.status = 7
        #expect(throws: CoordinatorRecordError.badValue(field: "transactionStatus", value: 7)) {
            try read("d", dead)
        }
    }
}
