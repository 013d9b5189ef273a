import ArgumentParser
import TallyCluster
import TallyReplication

/// `tally cluster remove`.
struct ClusterRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Move everything that a member keeps to others, so that it can go.",
        discussion: """
            Waits until all is moved; then the member keeps nothing, and its process may be \
            stopped and its directory deleted. Interrupted, it goes on where it was when it is \
            run again. Run it before the member is stopped: what nobody else has cannot be moved.
            """)

    @Argument(help: "The member's number.")
    var member: Int32

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let administration = ClusterAdministration(try cluster.cluster.open(creating: false))
        let leaving = ReplicaID(member)
        let image = try await administration.image()
        var turn = 0
        var moved = 0
        for record in image.partitions {
            guard let topic = image.names[record.topicID] else { continue }
            let current = record.state.target ?? record.state.replicas
            guard current.contains(leaving) else { continue }
            let others = image.members.keys.filter { !current.contains($0) && $0 != leaving }
                .sorted()
            var target = current
            if others.isEmpty {
                target.removeAll { $0 == leaving }
            } else {
                target = target.map { $0 == leaving ? others[turn % others.count] : $0 }
                turn += 1
            }
            guard !target.isEmpty else {
                throw CommandFailure(
                    "no other member is there to take \(topic)-\(record.partition)",
                    exitCode: ExitCodes.failure)
            }
            if others.isEmpty {
                Console.note(
                    "\(topic)-\(record.partition) will have \(target.count) replicas: there is no "
                        + "member for another.")
            }
            if try await administration.reassign(record.partition, of: topic, to: target) {
                moved += 1
            }
        }
        Console.note("\(moved) partitions leave member \(member).")
        try await administration.waitForMoves(of: nil) { left in
            Console.note("\(left) partitions are on their way.")
        }
        Console.out("Member \(member) keeps nothing any more.")
    }
}

/// `tally cluster add`.
struct ClusterAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Give a new member its share of what the others keep.",
        discussion: """
            Start the member first: `tally serve --cluster ... --node-id N`. It takes over \
            replicas, one of each partition at most, until it keeps about as many as the others.
            """)

    @Argument(help: "The member's number.")
    var member: Int32

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let administration = ClusterAdministration(try cluster.cluster.open(creating: false))
        let coming = ReplicaID(member)
        let image = try await administration.image()
        guard image.members[coming] != nil else {
            throw ClusterError.unknownMember(coming)
        }
        var counts = Dictionary(uniqueKeysWithValues: image.members.keys.map { ($0, 0) })
        let records = image.partitions.filter { image.names[$0.topicID] != nil }
        for record in records {
            for replica in record.state.target ?? record.state.replicas {
                counts[replica, default: 0] += 1
            }
        }
        var moved = 0
        for record in records {
            var target = record.state.target ?? record.state.replicas
            guard !target.contains(coming), let topic = image.names[record.topicID],
                let fullest = target.max(by: { counts[$0, default: 0] < counts[$1, default: 0] }),
                counts[fullest, default: 0] > counts[coming, default: 0] + 1,
                let index = target.firstIndex(of: fullest)
            else { continue }
            target[index] = coming
            counts[fullest, default: 0] -= 1
            counts[coming, default: 0] += 1
            if try await administration.reassign(record.partition, of: topic, to: target) {
                moved += 1
            }
        }
        Console.note("\(moved) partitions come to member \(member).")
        try await administration.waitForMoves(of: nil) { left in
            Console.note("\(left) partitions are on their way.")
        }
        Console.out("Member \(member) keeps \(counts[coming, default: 0]) replicas.")
    }
}
