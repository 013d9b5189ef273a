import ArgumentParser
import Tally
import TallyClient

/// `tally export directory`.
struct ExportDirectoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "directory",
        abstract: "Copy topics into a directory that is a Kafka broker's log directory.",
        discussion: """
            Tally's partitions are Kafka's files already. The copy has them, trimmed as after a \
            clean stop, with Kafka's checkpoints and the mark of a clean stop, and nothing of \
            Tally's own. A directory that was not closed in order is opened and closed first. \
            Offsets, leader epochs and transactions are as they were; groups are not in it.

            A broker takes only partitions of topics that its cluster has, by their ids. Create \
            them there first, with as many partitions; with --for the copy is given the ids and \
            the cluster's id that this cluster tells. Then stop the broker, put each partition's \
            directory in the place of the one it has, and start it.

            \(ExitCodes.discussion)
            """)

    @Option(help: "The directory to be made: it must not exist, or be empty.")
    var to: String

    @Option(help: "The topics, separated by commas; all without it.")
    var topics: NameList?

    @Option(
        name: .customLong("for"),
        help: "Brokers of the cluster that is to take it, HOST:PORT, separated by commas.")
    var cluster: BrokerList?

    @OptionGroup var data: DataOptions

    func run() async throws {
        try data.requireDirectory()
        let (directory, names) = (data.data, topics?.names)
        let target = to.count > 1 && to.hasSuffix("/") ? String(to.dropLast()) : to
        let addresses = cluster?.addresses
        let report = try await interruptible {
            var export = DirectoryExport(path: directory)
            if try !export.wasClosedCleanly() {
                Console.note("\(directory) was not closed in order: it is opened and closed first.")
                try await withEngine(at: directory, isAtRest: true) { _ in }
            }
            if let addresses {
                let found = try DirectoryReader(path: directory).topics()
                let takers = try await DirectoryTakers.of(
                    found.filter { names?.contains($0.name) ?? true }, addresses)
                export.topicIDs = takers.topicIDs
                export.identity = takers.identity
            }
            return try export.run(to: target, topics: names)
        }
        for (name, count) in report.topics {
            Console.out("Topic \(name): \(Format.count(count, "partition")).")
        }
        Console.out(
            "Copied \(Format.count(report.fileCount, "file")), \(Format.bytes(report.byteCount)), "
                + "to \(target).")
    }
}

/// Who is to take a directory: what a cluster says of its topics.
struct DirectoryTakers: Sendable {
    var topicIDs: [String: TopicID] = [:]
    var identity: (nodeID: Int32, clusterID: String)?

    /// Asks the cluster. Throws a ``CommandFailure`` where it could not take a topic.
    static func of(
        _ topics: [TopicDescription], _ addresses: [BrokerAddress]
    ) async throws -> DirectoryTakers {
        let cluster = ClusterClient(bootstrap: addresses)
        do {
            let takers = try await of(topics, cluster)
            await cluster.close()
            return takers
        } catch {
            await cluster.close()
            throw error
        }
    }

    private static func of(
        _ topics: [TopicDescription], _ cluster: ClusterClient
    ) async throws -> DirectoryTakers {
        try await cluster.look()
        var takers = DirectoryTakers()
        var leaders: Set<Int32> = []
        for topic in topics {
            guard let found = try await cluster.describeTopicOnce(topic.name) else {
                throw CommandFailure(
                    "the cluster has no topic \(topic.name): create it there first, with "
                        + Format.count(topic.partitions.count, "partition"))
            }
            guard found.partitionCount == topic.partitions.count else {
                throw CommandFailure(
                    "topic \(topic.name) has \(Format.count(topic.partitions.count, "partition")) "
                        + "here and \(found.partitionCount) in the cluster")
            }
            guard found.id != .zero else {
                throw CommandFailure(
                    "the cluster tells no id of topic \(topic.name): it is older than Kafka 2.8")
            }
            takers.topicIDs[topic.name] = TopicID(high: found.id.high, low: found.id.low)
            leaders.formUnion(found.partitions.values.compactMap(\.leaderID))
            for (index, partition) in found.partitions.sorted(by: { $0.key < $1.key }) {
                guard let leader = partition.leaderID else { continue }
                Console.note("\(topic.name)-\(index) belongs to broker \(leader).")
            }
        }
        let view = await cluster.currentView
        if let node = leaders.first, leaders.count == 1, let id = view.clusterID {
            takers.identity = (node, id)
        }
        return takers
    }
}
