import ArgumentParser
import TallyCluster
import TallyReplication

/// `tally cluster reassign`.
struct ClusterReassignCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reassign",
        abstract: "Move a partition, or all of a topic, to other members.",
        discussion: """
            Old and new members keep replicas together until all new ones are in sync; then the \
            old ones delete theirs. The first member that is named is the preferred leader. With \
            --wait it returns when that is done; what is on its way shows in `tally cluster \
            status`. follower.replication.throttled.rate of a member limits how fast it copies.
            """)

    @Argument(help: "The topic.")
    var topic: String

    @Option(help: "Only this partition.")
    var partition: Int32?

    @Option(help: "The members, as 1,2,3; the first is the preferred leader.")
    var to: String

    @Flag(help: "Return when all are in sync.")
    var wait = false

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let members = to.split(separator: ",").map { Int32($0).map { ReplicaID($0) } }
        guard !members.isEmpty, !members.contains(nil) else {
            throw CommandFailure(
                "--to \(to) names no members: give numbers with commas between them",
                exitCode: ExitCodes.usage)
        }
        let target = members.compactMap { $0 }
        let administration = ClusterAdministration(try cluster.cluster.open(creating: false))
        let count = try await administration.image().topics[topic]?.record.partitionCount ?? 0
        // A topic that is not there, or a partition, is told by the first attempt.
        let partitions = partition.map { [$0] } ?? Array(0..<max(count, 1))
        var moved = 0
        for (turn, index) in partitions.enumerated() {
            // Leaders are spread: each partition prefers the next member.
            let shift = partition == nil ? turn % target.count : 0
            let places = Array(target[shift...] + target[..<shift])
            if try await administration.reassign(index, of: topic, to: places) { moved += 1 }
        }
        Console.note("\(moved) of \(partitions.count) partitions move to \(to).")
        guard wait else { return }
        try await administration.waitForMoves(of: topic) { left in
            Console.note("\(left) partitions are on their way.")
        }
    }
}

extension ClusterAdministration {
    /// Waits until nothing is on its way to other members.
    ///
    /// - Parameter topic: nil for all.
    func waitForMoves(of topic: String?, told: (Int) -> Void) async throws {
        var last = -1
        while true {
            let image = try await image()
            let left = image.partitions.count { record in
                record.state.target != nil
                    && (topic == nil || image.names[record.topicID] == topic)
            }
            if left != last { told(left) }
            last = left
            if left == 0 { return }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
