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
            not lead, the leader is asked to hand over, and waited for; producers and consumers \
            find the new one by themselves.
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
        let count =
            unclean ? try await electUnclean(administration) : try await prefer(administration)
        Console.out("\(count) partitions have another leader.")
    }

    private func isMeant(_ record: PartitionRecord, _ image: ClusterImage) -> Bool {
        topic == nil || image.names[record.topicID] == topic
    }

    private func electUnclean(_ administration: ClusterAdministration) async throws -> Int {
        try await administration.changeStates { record, image in
            guard isMeant(record, image) else { return nil }
            var live = image.live
            if let without { live.remove(ReplicaID(without)) }
            if let leader = record.state.leader, live.contains(leader) { return nil }
            return Election(live: live, isUncleanAllowed: true).next(after: record.state)
        }
    }

    /// Asks the leaders, and waits for them. One that is cut off hands over when it is back, or
    /// others do when its lease has ended.
    private func prefer(_ administration: ClusterAdministration) async throws -> Int {
        let count = try await administration.changeStates { record, image in
            guard isMeant(record, image),
                Election(live: image.live).preferring(record.state) != nil
            else { return nil }
            return Reassignment.prefer(record.state)
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let image = try await administration.image()
            let left = image.partitions.count {
                isMeant($0, image) && $0.state.target == $0.state.replicas
            }
            if left == 0 { return count }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    "\(left) of \(count) partitions have no other leader yet; they will, when "
                        + "their leaders are back, or their leases have ended",
                    exitCode: ExitCodes.failure)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
