import ArgumentParser
import Tally
import TallyClient
import TallyStateStore

/// `tally import kafka`.
struct ImportKafkaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kafka",
        abstract: "Bring topics of a Kafka cluster, or of another Tally, over.",
        discussion: """
            Topics come with their ids, partitions, offsets, leader epochs and settings, batches \
            byte for byte: transactions, markers and the gaps of compaction too. Of each \
            partition comes what the cluster has when the command begins. With --groups the \
            offsets that groups have committed in these topics come with them.

            What was begun is gone on with where it ends, by the same command. A topic whose \
            import is not complete takes no other records; one that is complete is an ordinary \
            topic. Given again, the command brings what has come to the cluster since, as long \
            as nothing was written to the topic here. There is no TLS and no authentication yet.

            \(ExitCodes.discussion)
            """)

    @OptionGroup var source: SourceOptions

    @Option(help: "Groups whose offsets come too, separated by commas.")
    var groups: NameList?

    @OptionGroup var data: DataOptions

    func run() async throws {
        let job = ClusterImport(
            cluster: source.cluster, source: source.from.text, topics: source.topics.names,
            groups: groups?.names ?? [])
        let directory = data.data
        try await interruptible {
            do {
                let topics = try await job.look()
                try await withEngine(at: directory, isAtRest: true, state: .sqlite) { engine in
                    try await job.run(topics, on: engine)
                }
            } catch is CancellationError {
                await job.cluster.close()
                Console.note("What has come is kept. The same command goes on from there.")
                throw CancellationError()
            } catch {
                await job.cluster.close()
                throw error
            }
            await job.cluster.close()
        }
    }
}
