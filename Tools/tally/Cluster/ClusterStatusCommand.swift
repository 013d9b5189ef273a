import ArgumentParser
import TallyCluster
import TallyReplication

/// `tally cluster status`.
struct ClusterStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show members, and who keeps and leads each partition.",
        discussion: """
            A partition has a problem where nobody leads it, where fewer replicas are in sync than \
            it has (under-replicated), or where it is on its way to other members.
            """)

    @Flag(help: "Only partitions that have a problem.")
    var problems = false

    @OptionGroup var rows: RowOptions
    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let image = try await ClusterAdministration(try cluster.cluster.open(creating: false))
            .image()
        try await printingRows { streams in
            if rows.json {
                for partition in partitions(image) {
                    try streams.output.write { partition.fields(&$0) }
                }
            } else {
                try printMembers(image, streams.output)
                try printPartitions(image, streams.output)
            }
        }
    }

    private struct Row {
        var topic: String
        var partition: Int32
        var state: PartitionState
        var problem: String

        func fields(_ line: inout JSONLine) {
            line.field("topic", topic)
            line.field("partition", Int(partition))
            line.field("leader", state.leader.map { Int($0.rawValue) } ?? -1)
            line.field("leaderEpoch", Int(state.leaderEpoch.rawValue))
            line.field("replicas", state.replicas.text)
            line.field("inSync", state.inSyncReplicas.text)
            line.field("problem", problem)
        }
    }

    private func partitions(_ image: ClusterImage) -> [Row] {
        let all = image.partitions.compactMap { record -> Row? in
            guard let topic = image.names[record.topicID] else { return nil }
            return Row(
                topic: topic, partition: record.partition, state: record.state,
                problem: record.state.problem(image))
        }
        return all.filter { !problems || !$0.problem.isEmpty }.sorted {
            ($0.topic, $0.partition) < ($1.topic, $1.partition)
        }
    }

    private func printMembers(_ image: ClusterImage, _ output: Output) throws {
        try output.write(line: "cluster \(image.clusterID ?? "(none yet)")")
        var table = OutputTable([
            .number("member"), .text("address"), .text("rack"), .number("leads"),
            .number("keeps"), .text("controller"),
        ])
        let states = image.partitions.map(\.state)
        for member in image.members.values.sorted(by: { $0.id < $1.id }) {
            try table.add(
                [
                    "\(member.id)", "\(member.host):\(member.port)", member.rack ?? "",
                    "\(states.count { $0.leader == member.id })",
                    "\(states.count { $0.replicas.contains(member.id) })",
                    image.controller?.record.member == member.id ? "yes" : "",
                ], to: output)
        }
        try table.flush(to: output)
        let gone = Set(states.flatMap(\.replicas)).subtracting(image.members.keys).sorted()
        if !gone.isEmpty {
            try output.write(line: "not there: \(gone.text)")
        }
    }

    private func printPartitions(_ image: ClusterImage, _ output: Output) throws {
        var table = OutputTable([
            .text("topic"), .number("partition"), .number("leader"), .number("epoch"),
            .text("replicas"), .text("in sync"), .text("problem"),
        ])
        for row in partitions(image) {
            try table.add(
                [
                    row.topic, "\(row.partition)", row.state.leader?.description ?? "none",
                    "\(row.state.leaderEpoch)", row.state.replicas.text,
                    row.state.inSyncReplicas.text, row.problem,
                ], to: output)
        }
        try table.flush(to: output)
    }
}

extension [ReplicaID] {
    /// Numbers with commas between them.
    var text: String { map(\.description).joined(separator: ",") }
}

extension PartitionState {
    /// What is not as it should be; empty where all is well.
    fileprivate func problem(_ image: ClusterImage) -> String {
        if let target { return "moves to \(target.text)" }
        if wantsPreferredLeader { return "is to be led by \(replicas[0])" }
        guard let leader else { return "no leader: none of \(inSyncReplicas.text) is there" }
        if image.members[leader] == nil { return "its leader is not there" }
        return inSyncReplicas.count < replicas.count ? "under-replicated" : ""
    }
}
