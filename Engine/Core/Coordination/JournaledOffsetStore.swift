import Synchronization
import TallyGroups
import TallyLog
import TallyRecords

/// The store of a group coordinator whose groups are recorded in `__consumer_offsets`: a change is
/// in the log when ``apply(_:)`` returns, and counts when it is committed there, which whoever
/// answers waits for.
///
/// Thread rule: one call at a time, on the coordinator's lane.
final class JournaledOffsetStore: OffsetStore {
    private let journal: CoordinationJournal<OffsetStoreChange>
    /// The partitions of the topic.
    let partitionCount: Int32
    private let identify: @Sendable (String) -> TopicID?
    /// Set for the commit of a transaction whose coordinator was asked before.
    private let verification = Mutex<TransactionStanding?>(nil)

    /// More than this is written in several batches: a turn may have the commits of a thousand.
    private static let batchBytesMax = 256 << 10

    init(
        journal: CoordinationJournal<OffsetStoreChange>, partitionCount: Int32,
        identify: @escaping @Sendable (_ topic: String) -> TopicID?
    ) {
        self.journal = journal
        self.partitionCount = partitionCount
        self.identify = identify
    }

    /// Members are in the log, and each offset that goes has a record of its own.
    var keepsMembers: Bool { true }

    /// None: they are taken over partition by partition.
    func loadGroups() -> [StoredGroup] { [] }

    /// Appends the changes. Where it throws, what was to go to other partitions before may be in
    /// their logs.
    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        do {
            let batches = try OffsetsTopicBatch.batches(of: changes, count: partitionCount) {
                identify($0)?.bytes
            }
            for batch in batches { try append(batch) }
        } catch {
            var failure = OffsetStoreError(reason: "\(error)")
            failure.refusal = Self.refusal(error, of: changes.first?.group ?? "")
            throw failure
        }
    }

    private func append(_ batch: OffsetsTopicBatch) throws {
        let pieces = batch.records.pieces(bytesMax: Self.batchBytesMax)
        for (index, records) in pieces.enumerated() {
            try journal.append(
                CoordinationJournal.Entry(
                    partition: batch.partition, producer: batch.producer,
                    verification: batch.producer == nil ? nil : verification.withLock { $0 },
                    records: records, changes: index == pieces.count - 1 ? batch.changes : []))
        }
    }

    /// What is asked for within `body` is part of a transaction that stood so when its coordinator
    /// was asked.
    func verified<Success>(
        _ standing: TransactionStanding?, _ body: () throws(GroupError) -> Success
    ) throws(GroupError) -> Success {
        verification.withLock { $0 = standing }
        defer { verification.withLock { $0 = nil } }
        return try body()
    }

    private static func refusal(_ error: any Error, of group: String) -> GroupError? {
        guard case LogError.producer(let refusal) = error else {
            return CommitFailure(error).groupError(of: group)
        }
        return switch refusal.reason {
        case .invalidProducerEpoch(let current):
            .invalidProducerEpoch(given: refusal.producerEpoch, current: current)
        case .verificationOutdated: .concurrentTransactions
        default: nil
        }
    }
}

extension Array where Element == CoordinatorRecord {
    /// The records in order, no piece larger than so many bytes but where one record is; at least
    /// one piece, which is empty without records.
    func pieces(bytesMax: Int) -> [[CoordinatorRecord]] {
        var pieces: [[CoordinatorRecord]] = [[]]
        var byteCount = 0
        for record in self {
            let size = record.key.count + (record.value?.count ?? 0) + 16
            if byteCount + size > bytesMax, pieces[pieces.count - 1].count > 0 {
                pieces.append([])
                byteCount = 0
            }
            pieces[pieces.count - 1].append(record)
            byteCount += size
        }
        return pieces
    }
}

extension TopicID {
    /// The 16 bytes.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: high)
        bytes.append(bigEndian: low)
        return bytes
    }
}
