import ArgumentParser
import Foundation
import Tally
import TallyFiles
import TallyLog
import TallyRecords

/// `tally transactions hanging`.
struct TransactionsHangingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hanging",
        abstract: "List transactions that have been open for too long.",
        discussion: """
            Reads the files without a lock: an application, or Kafka, may have the directory open. \
            All batches are looked at. Readers of committed records wait at an open transaction, \
            however far the log goes on.

            A transaction's age counts from the timestamp of its first batch, which mostly is by \
            the producer's own clock; one without a timestamp is always listed. firstOffset and \
            lastOffset are those of its records in that partition; records of others may lie \
            between them. A transaction whose batches were all deleted is not found here: `tally \
            transactions abort` names it when it refuses another. DURATION is a number and ms, s, \
            m, h or d.

            --json prints an object a line: topic, partition, producerId, producerEpoch, \
            firstOffset, lastOffset, startedAt (null without a timestamp), ageMilliseconds.

            \(ExitCodes.discussion)
            """)

    @Option(help: "Only this topic.")
    var topic: String?

    @Option(
        help: ArgumentHelp(
            "Open for this long or longer; 0s lists all. The default is Kafka's limit.",
            valueName: "duration"))
    var olderThan = DurationArgument(milliseconds: 900_000)

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let partitions = try wantedPartitions()
            let survey = TransactionsSurvey(on: PosixFileSystem())
            var failedCount = 0
            var open: [TransactionsSurvey.Open] = []
            for partition in partitions {
                do {
                    open += try survey.openTransactions(in: partition)
                } catch {
                    failedCount += 1
                    try streams.note("error: \(partition.name): \(error)")
                }
            }
            try show(open, streams)
            guard failedCount == 0 else {
                throw CommandFailure(
                    "of \(partitions.count) partitions, \(failedCount) could not be read to the "
                        + "end; `tally inspect --verify` tells more")
            }
        }
    }

    private func wantedPartitions() throws -> [PartitionDirectory] {
        let all = try PartitionDirectory.all(in: data.data, on: PosixFileSystem())
        guard let topic else { return all }
        let wanted = all.filter { $0.topic == topic }
        guard !wanted.isEmpty else {
            throw EngineError.unknownTopic(name: topic, known: Set(all.map(\.topic)).sorted())
        }
        return wanted
    }

    private func show(_ open: [TransactionsSurvey.Open], _ streams: CommandStreams) throws {
        let now = Timestamp.now
        let hanging = open.filter { transaction in
            transaction.age(at: now).map { $0 >= olderThan.milliseconds } ?? true
        }
        guard let first = hanging.first else {
            let others =
                open.isEmpty ? "" : "; \(open.count) open for less (--older-than 0s lists all)"
            return try streams.note(
                "No transaction has been open for \(olderThan) or longer\(others).")
        }
        var table = OutputTable([
            .text("topic"), .number("partition"), .number("producer id"), .number("epoch"),
            .number("first offset"), .number("last offset"), .text("started at"), .number("age"),
        ])
        for transaction in hanging {
            try table.add(
                transaction.cells(at: now), orJSON: { transaction.fields(at: now, &$0) }, rows,
                to: streams.output)
        }
        try table.flush(to: streams.output)
        try streams.output.flush()
        try streams.note("To abort the first, once its producer is known to be gone:")
        try streams.note("  \(abortCommand(of: first))")
    }

    private func abortCommand(of transaction: TransactionsSurvey.Open) -> String {
        let directory = data.data == DataOptions.directory ? "" : " --data \(data.data.shellQuoted)"
        return "tally transactions abort --topic \(transaction.partition.topic.shellQuoted) "
            + "--partition \(transaction.partition.partition) "
            + "--producer-id \(transaction.producerID) "
            + "--producer-epoch \(transaction.producerEpoch)\(directory)"
    }
}

extension TransactionsSurvey.Open {
    /// How long it has been open; nil where nobody can tell.
    fileprivate func age(at now: Timestamp) -> Int64? {
        // A clock may be ahead of ours.
        startedAt.map { max(now.rawValue - $0.rawValue, 0) }
    }

    fileprivate func cells(at now: Timestamp) -> [String] {
        [
            partition.topic, "\(partition.partition)", "\(producerID)", "\(producerEpoch)",
            "\(firstOffset)", "\(lastOffset)", OutputTime.text(startedAt),
            age(at: now).map { DurationArgument.text($0) } ?? "-",
        ]
    }

    fileprivate func fields(at now: Timestamp, _ line: inout JSONLine) {
        line.field("topic", partition.topic)
        line.field("partition", partition.partition)
        line.field("producerId", producerID)
        line.field("producerEpoch", producerEpoch)
        line.field("firstOffset", firstOffset.rawValue)
        line.field("lastOffset", lastOffset.rawValue)
        line.field("startedAt", orNull: startedAt.map { OutputTime.text($0) })
        line.field("ageMilliseconds", orNull: age(at: now))
    }
}
