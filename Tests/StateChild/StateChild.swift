import Foundation
import Tally
import TallyGroups
import TallyStateStore
import TallyTransactions

/// The process that the crash test of the stores starts and kills: commits an offset, and a
/// transaction's offsets, again and again, and says each one that was acknowledged.
@main
enum StateChild {
    static func main() throws {
        guard CommandLine.arguments.count == 2 else { fatalError("usage: DIRECTORY") }
        let state = try SQLiteState.open(inDataDirectory: CommandLine.arguments[1])
        let partition = TopicPartition(topic: "events", partition: 0)
        let begun = try state.offsets.loadGroups().first?.offsets[partition]?.offset.rawValue ?? 0
        var number = begun
        _ = try state.transactions.reserveProducerIDs(count: 1, notBelow: 7)
        while true {
            number += 1
            let offset = CommittedOffset(
                offset: Offset(number), leaderEpoch: LeaderEpoch(1), metadata: "commit \(number)",
                commitTimestamp: Timestamp(milliseconds: number), sequence: number)
            // One change in two halves: both are there afterwards, or none.
            try state.offsets.apply([
                .offsets(group: "g", [partition: offset]),
                .metadata(group: "g", StoredGroupMetadata(generation: Int32(number))),
                .pendingOffsets(
                    group: "g", producerID: 7, producerEpoch: 0, [partition: offset]),
            ])
            var record = TransactionRecord(
                transactionalID: "t", producer: ProducerIdentity(id: 7, epoch: 1),
                timeoutMilliseconds: 1000, updatedAt: Timestamp(milliseconds: number))
            record.state = .ongoing
            record.startedAt = Timestamp(milliseconds: number)
            record.partitions = [
                TopicPartition(topic: "events", partition: Int32(number)), partition,
            ]
            try state.transactions.save(record)
            FileHandle.standardOutput.write(Data("\(number)\n".utf8))
        }
    }
}
