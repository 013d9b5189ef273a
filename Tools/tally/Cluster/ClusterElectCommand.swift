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
        image.names[record.topicID].map { topic == nil || $0 == topic } ?? false
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

    /// Asks the leaders, and waits for them. One that is cut off from the store answers when it is
    /// back, or others lead when its lease has ended.
    private func prefer(_ administration: ClusterAdministration) async throws -> Int {
        var asked: Set<PartitionID> = []
        try await administration.changeStates { record, image in
            guard isMeant(record, image),
                let next = Election(live: image.live).asking(record.state)
            else { return nil }
            asked.insert(record.id)
            return next
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let image = try await administration.image()
            let states = asked.compactMap { image.state(of: $0) }
            let left = states.count(where: \.wantsPreferredLeader)
            if left == 0 { return states.count { $0.leader == $0.replicas.first } }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    "the leaders of \(left) partitions do not answer; they will, when they are "
                        + "back, or others lead when their leases have ended",
                    exitCode: ExitCodes.failure)
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
