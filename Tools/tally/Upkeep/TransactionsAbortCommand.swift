import ArgumentParser
import Tally

/// `tally transactions abort`.
struct TransactionsAbortCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort",
        abstract: "Abort a transaction that its producer left open in a partition.",
        discussion: """
            Appends an abort marker, on stable storage: readers of committed records skip the \
            transaction's records and go on behind it. This cannot be undone. Find out first that \
            the producer is gone: one that is not loses what it wrote, and what it sends next \
            begins a new transaction.

            A transaction that wrote to several partitions is open in each of them: \
            `tally transactions hanging` lists them all. The directory must not be in use: an \
            application that has it open calls Engine.abortTransaction instead.

            \(ExitCodes.discussion)
            """)

    @Option(help: "The topic.")
    var topic: String

    @Option(help: "The partition.")
    var partition: Int32

    @Option(help: "Whose transaction it is.")
    var producerId: Int64

    @Option(help: "Abort only where this is the producer's epoch; any if not given.")
    var producerEpoch: Int16?

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        let (topic, partition, producer, epoch) = (topic, partition, producerId, producerEpoch)
        let done = try await withEngine(at: data.data) { engine in
            try await engine.abortTransaction(
                topic: topic, partition: partition, producerID: producer, producerEpoch: epoch)
        }
        let aborted = done.transaction
        Console.out(
            """
            Aborted the transaction of producer \(aborted.producerID) with epoch \
            \(aborted.producerEpoch) in \(topic)-\(partition): offsets \(aborted.firstOffset) to \
            \(aborted.lastOffset), begun at \(OutputTime.text(aborted.startedAt)). The abort \
            marker has offset \(done.markerOffset); the last stable offset is \
            \(done.lastStableOffset).
            """)
    }
}
