import Tally
import TallyClient

/// Brings topics of a cluster to a data directory, up to where they end when it begins. Used by
/// `tally import kafka`.
struct ClusterImport: Sendable {
    let cluster: ClusterClient
    /// What `tally.source` says meanwhile.
    let source: String
    let topics: [String]
    let groups: [String]

    /// What the cluster says of the topics. Fails at once where nobody answers: an address that is
    /// wrong should not take a minute to be told.
    func look() async throws -> [String: ClusterView.Topic] {
        try await cluster.look()
        return try await cluster.describeTopics(topics)
    }

    /// Copies, checks, and makes ordinary topics of what is complete.
    func run(_ found: [String: ClusterView.Topic], on engine: Engine) async throws {
        // Before the ends are asked for: no group is further than what is copied.
        let committed = try await committedOffsets(found)
        let copy = TopicCopy(cluster: cluster, engine: engine, source: source)
        let partitions = found.flatMap { name, topic in
            topic.partitions.keys.map { TopicPartition(topic: name, partition: $0) }
        }
        let starts = try await cluster.offsets(of: Set(partitions), at: .logStart)
        let ends = try await cluster.offsets(of: Set(partitions), at: .end)
        var copies = PartitionCopies(copy, behind: .refuse)
        func bounds(of id: TopicPartition) -> ClosedRange<Offset> {
            let start = starts[id] ?? .zero
            return start...max(start, ends[id] ?? .zero)
        }
        for (name, topic) in found.sorted(by: { $0.key < $1.key }) {
            // Compared before it is marked as a copy: it stays as it was where it is none.
            try await copy.prepare(name, topic) { [copies] known in
                for partition in known.partitions {
                    let id = TopicPartition(topic: name, partition: partition.index)
                    try await copies.verify(id, bounds(of: id))
                }
            }
        }
        for id in partitions.sorted() { try await copies.add(id, bounds(of: id)) }
        let report = try await run(&copies, to: ends)
        await copies.close()
        try check(ends, on: engine)
        for (group, offsets) in committed.sorted(by: { $0.key < $1.key }) {
            try await engine.commitOffsets(offsets, ofGroup: group)
        }
        // Last: a topic is an ordinary one when all of it is there, and its groups are.
        for name in found.keys.sorted() {
            try await engine.alterTopic(name, resetting: [TopicSetting.source.rawValue])
        }
        print(report, committed, on: engine)
    }

    // MARK: Records

    private struct Report {
        var byteCount: Int64 = 0
        var offsetCount: Int64 = 0
        var seconds = 0.0
    }

    private func run(
        _ copies: inout PartitionCopies, to ends: [TopicPartition: Offset]
    ) async throws -> Report {
        let begin = ContinuousClock.now
        let before = copies.logEnds
        let total = ends.reduce(0) { $0 + $1.value.rawValue - (before[$1.key] ?? .zero).rawValue }
        let bar = ProgressBar("importing")
        defer { bar.finish() }
        func done(_ copies: PartitionCopies) -> Int64 {
            copies.logEnds.reduce(0) { $0 + $1.value.rawValue - (before[$1.key] ?? .zero).rawValue }
        }
        while ends.contains(where: { copies.logEnds[$0.key] ?? .zero < $0.value }) {
            try await copies.step(isStored: false)
            bar.update(done(copies), of: total, unit: "offsets")
        }
        try await copies.store()
        return Report(
            byteCount: copies.byteCount, offsetCount: done(copies),
            seconds: (ContinuousClock.now - begin) / .seconds(1))
    }

    /// Nothing is called complete that is not there.
    private func check(_ ends: [TopicPartition: Offset], on engine: Engine) throws {
        for (id, end) in ends.sorted(by: { $0.key < $1.key }) {
            let found = try engine.describePartition(id)
            guard found.highWatermark >= end, found.problem == nil else {
                throw CommandFailure(
                    "\(id) ends at offset \(found.highWatermark), and the cluster's at \(end)"
                        + (found.problem.map { ": \($0)" } ?? "."))
            }
        }
    }

    // MARK: Groups

    private func committedOffsets(
        _ found: [String: ClusterView.Topic]
    ) async throws -> [String: [TopicPartition: OffsetToCommit]] {
        var committed: [String: [TopicPartition: OffsetToCommit]] = [:]
        for group in groups {
            let offsets = try await cluster.committedOffsets(ofGroup: group)
                .filter { found[$0.key.topic]?.partitions[$0.key.partition] != nil }
            if offsets.isEmpty {
                Console.note("Group \(group) has committed nothing in these topics.")
                continue
            }
            committed[group] = offsets.mapValues {
                OffsetToCommit(
                    offset: $0.offset, leaderEpoch: $0.leaderEpoch, metadata: $0.metadata)
            }
        }
        return committed
    }

    // MARK: Saying so

    private func print(
        _ report: Report, _ committed: [String: [TopicPartition: OffsetToCommit]],
        on engine: Engine
    ) {
        for name in topics.sorted() {
            guard let topic = try? engine.describeTopic(name) else { continue }
            let offsets = topic.partitions.reduce(0) {
                $0 + $1.highWatermark.rawValue - $1.logStart.rawValue
            }
            Console.out(
                "Topic \(name): \(Format.count(topic.partitions.count, "partition")), "
                    + "\(Format.count(Int(offsets), "offset")), as in \(source).")
        }
        for (group, offsets) in committed.sorted(by: { $0.key < $1.key }) {
            Console.out("Group \(group): \(Format.count(offsets.count, "committed offset")).")
        }
        Console.out(
            "Imported \(Format.count(Int(report.offsetCount), "offset")), "
                + "\(Format.bytes(report.byteCount)), in \(Format.fixed(report.seconds, 1)) s.")
    }
}
