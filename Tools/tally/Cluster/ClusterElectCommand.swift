import ArgumentParser
import TallyCluster
import TallyReplication

/// `tally cluster elect`.
struct ClusterElectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "elect",
        abstract: "Let preferred leaders lead again.",
        discussion: """
            The first replica of a partition is its preferred leader. Where it is in sync and does \
            not lead, it leads in a new epoch; producers and consumers find it by themselves.
            """)

    @Option(help: "Only partitions of this topic.")
    var topic: String?

    @Flag(
        help: ArgumentHelp(
            "Where nobody who is in sync is there, let another replica lead.",
            discussion: "Records that were acknowledged and that it has not are lost."))
    var unclean = false

    @Option(help: "With --unclean: not this member, which has lost its directory.")
    var without: Int32?

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let administration = ClusterAdministration(try cluster.cluster.open(creating: false))
        if let topic {
            let image = try await administration.image()
            guard image.topics[topic] != nil else {
                throw CommandFailure(
                    "the cluster has no topic \(topic)", exitCode: ExitCodes.noInput)
            }
        }
        let count = try await administration.changeStates { record, image in
            guard topic == nil || image.names[record.topicID] == topic else { return nil }
            var live = Set(image.members.keys)
            guard unclean else { return Election(live: live).preferring(record.state) }
            if let without { live.remove(ReplicaID(without)) }
            if let leader = record.state.leader, live.contains(leader) { return nil }
            return Election(live: live, isUncleanAllowed: true).next(after: record.state)
        }
        Console.out("\(count) partitions have another leader.")
    }
}
