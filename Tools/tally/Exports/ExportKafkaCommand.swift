import ArgumentParser
import Tally
import TallyClient
import TallyStateStore

/// `tally export kafka`.
struct ExportKafkaCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kafka",
        abstract: "Send topics, and where groups stand, to a Kafka cluster.",
        discussion: """
            Records go to the same partitions of topics of the same name, with their keys, values, \
            headers, timestamps and codecs; offsets are the cluster's. Of transactions those \
            records go that were committed, as records without one. Topics that are not there are \
            created with the partitions and settings of here; they retire and compact nothing \
            until all is there. One that is there must have as many partitions, and no records \
            that were not exported from here.

            How far it has come is noted in kafka-exports.json beside the topics. Interrupted, or \
            given again later, the command goes on from there, after comparing what the cluster \
            has behind that with what would come next: nothing is sent twice, and where somebody \
            else has written to a partition, nothing more is sent. The command holds the \
            directory's lock while it works: stop what uses it first. There is no TLS and no \
            authentication yet.

            With --groups the offsets that groups have committed are committed there too, in front \
            of the same records. A group must have no members there; one that is further there \
            already stays where it is.

            \(ExitCodes.discussion)
            """)

    @Option(help: "Brokers of the cluster, HOST:PORT, separated by commas; one of them is enough.")
    var to: BrokerList

    @Option(help: "The topics, separated by commas.")
    var topics: NameList?

    @Flag(help: "All topics.")
    var all = false

    @Option(help: "Groups whose offsets go too, separated by commas.")
    var groups: NameList?

    @Flag(help: "Read all of it again at the end, there and here, and compare each record.")
    var verify = false

    @Option(help: "How many brokers have each partition of topics that are created; -1: as there.")
    var replicationFactor = -1

    @Option(help: "For how many seconds what fails is tried again.")
    var timeout = 60

    @OptionGroup var data: DataOptions

    func validate() throws {
        guard timeout >= 1 else { throw ValidationError("--timeout wants 1 second or more.") }
        guard all != (topics != nil) else {
            throw ValidationError("Name the topics with --topics, or give --all.")
        }
        guard replicationFactor == -1 || (1...Int(Int16.max)).contains(replicationFactor) else {
            throw ValidationError("--replication-factor wants 1 or more, or -1.")
        }
    }

    func run() async throws {
        try data.requireDirectory()
        var configuration = ClientConfiguration()
        configuration.totalMilliseconds = Int64(timeout) * 1000
        let job = ClusterExport(
            cluster: ClusterClient(bootstrap: to.addresses, configuration: configuration),
            target: to.text, topics: topics?.names, groups: groups?.names ?? [],
            replicationFactor: replicationFactor, isVerifying: verify, directory: data.data)
        // A directory without groups gets no state.db by this.
        let hasGroups = try !GroupsReader(directory: data.data).groups.isEmpty
        try await interruptible {
            do {
                try await job.look()
                try await withEngine(
                    at: job.directory, isAtRest: true, state: hasGroups ? .sqlite : .inMemory
                ) { engine in
                    try await job.run(on: engine)
                }
            } catch is CancellationError {
                await job.cluster.close()
                Console.note("What was sent is noted. The same command goes on from there.")
                throw CancellationError()
            } catch {
                await job.cluster.close()
                throw error
            }
            await job.cluster.close()
        }
    }
}
