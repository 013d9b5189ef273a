import Tally
import TallyClient

/// Sends topics of a data directory to a cluster, with where groups stand. Used by
/// `tally export kafka`.
struct ClusterExport: Sendable {
    let cluster: ClusterClient
    /// For people: the brokers that were named.
    let target: String
    /// Nil for all.
    let topics: [String]?
    let groups: [String]
    let replicationFactor: Int
    let isVerifying: Bool
    let directory: String

    /// So many partitions are sent at a time.
    private static let partitionsAtOnce = 8

    /// Fails at once where nobody answers: an address that is wrong should not take a minute to be
    /// told.
    func look() async throws { try await cluster.look() }

    /// Sends, compares, moves groups, and hands the topics over.
    func run(on engine: Engine) async throws {
        let begin = ContinuousClock.now
        let found = try topicsToExport(in: engine)
        let committed = try await committedOffsets(of: found, in: engine)
        let notes = try ExportNotes.read(from: directory)
        let name = await cluster.currentView.clusterID ?? target
        let notebook = ExportNotebook(
            notes, of: name, in: directory, offsetCount: Self.offsetCount(found, notes, name))
        do {
            let exported = found.map { ExportedTopic(topic: $0, cluster: cluster, target: target) }
            for topic in exported {
                try await topic.prepare(in: notebook, replicationFactor: replicationFactor)
            }
            try await send(found, on: engine, notebook)
            try await notebook.store()
            await notebook.finish()
            let comparedCount = try await compare(found, on: engine, notebook)
            try await move(committed, on: engine, notebook)
            // Last: until then the cluster lets go of nothing.
            for topic in exported {
                guard let noted = await notebook.topic(topic.topic.name) else { continue }
                try await topic.release(noted)
            }
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            await report(found, await notebook.sent, comparedCount, seconds, notebook)
        } catch {
            await notebook.finish()
            try? await notebook.store()
            throw error
        }
    }

    private func topicsToExport(in engine: Engine) throws -> [TopicDescription] {
        let found =
            try topics.map { try $0.map { try engine.describeTopic($0) } }
            ?? engine.topics()
        guard !found.isEmpty else { throw CommandFailure("\(directory) has no topics to export") }
        for topic in found where topic.isDiscovered {
            throw EngineError.configurationIsNotStated(topic: topic.name)
        }
        return found
    }

    private static func offsetCount(
        _ topics: [TopicDescription], _ notes: ExportNotes, _ cluster: String
    ) -> Int64 {
        topics.reduce(0) { sum, topic in
            let noted = notes.clusters[cluster]?[topic.name]?.partitions
            return topic.partitions.reduce(sum) { sum, partition in
                let begin =
                    noted?["\(partition.index)"]?.last.source ?? partition.logStart.rawValue
                return sum + max(partition.highWatermark.rawValue - begin, 0)
            }
        }
    }

    // MARK: Records

    private func send(
        _ topics: [TopicDescription], on engine: Engine, _ notebook: ExportNotebook
    ) async throws {
        let producer = try await cluster.newProducer()
        let exports = topics.flatMap { topic in
            topic.partitions.map { partition in
                var export = PartitionExport(
                    TopicPartition(topic: topic.name, partition: partition.index), engine,
                    cluster, notebook, as: producer, target: target)
                let limit = Int(topic.configuration.value(of: .maxMessageBytes)) ?? .max
                export.batchBytesMax = min(export.batchBytesMax, limit)
                return export
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, export) in exports.enumerated() {
                if index >= Self.partitionsAtOnce { try await group.next() }
                group.addTask {
                    var export = export
                    try await export.run()
                }
            }
            try await group.waitForAll()
        }
    }

    /// Reads again what was sent, where that was asked for. Returns how many records were compared.
    private func compare(
        _ topics: [TopicDescription], on engine: Engine, _ notebook: ExportNotebook
    ) async throws -> Int? {
        guard isVerifying else { return nil }
        let check = ExportCheck(engine: engine, cluster: cluster, target: target)
        var count = 0
        for id in Self.partitions(of: topics) {
            guard let noted = await notebook.partition(id) else { continue }
            count += try await check.compare(id, noted)
        }
        return count
    }

    private static func partitions(of topics: [TopicDescription]) -> [TopicPartition] {
        topics.flatMap { topic in
            topic.partitions.map { TopicPartition(topic: topic.name, partition: $0.index) }
        }
    }

    // MARK: Groups

    private func committedOffsets(
        of topics: [TopicDescription], in engine: Engine
    ) async throws -> [String: [TopicPartition: CommittedOffset]] {
        let partitions = Set(Self.partitions(of: topics))
        var committed: [String: [TopicPartition: CommittedOffset]] = [:]
        for group in groups {
            let offsets = try await engine.committedOffsets(ofGroup: group)
                .filter { partitions.contains($0.key) }
            if offsets.isEmpty {
                Console.note("Group \(group) has committed nothing in these topics.")
            } else {
                committed[group] = offsets
            }
        }
        return committed
    }

    /// Commits in the cluster where groups stand here. A group that is further there has begun to
    /// read there, and is not put back.
    private func move(
        _ committed: [String: [TopicPartition: CommittedOffset]], on engine: Engine,
        _ notebook: ExportNotebook
    ) async throws {
        let check = ExportCheck(engine: engine, cluster: cluster, target: target)
        for (group, offsets) in committed.sorted(by: { $0.key < $1.key }) {
            let there = try await cluster.committedOffsets(
                ofGroup: group, partitions: Set(offsets.keys))
            var moved: [TopicPartition: ClusterClient.CommittedOffset] = [:]
            for (id, offset) in offsets {
                guard let noted = await notebook.partition(id) else { continue }
                let wanted = try await check.translate(offset.offset, of: id, noted)
                if let known = there[id], known.offset > wanted {
                    Console.note(
                        "Group \(group) is at offset \(known.offset) of \(id) in \(target), behind "
                            + "\(wanted), where it stands here: it is left there.")
                    continue
                }
                // Epochs there are others.
                moved[id] = ClusterClient.CommittedOffset(
                    offset: wanted, leaderEpoch: .none, metadata: offset.metadata)
            }
            if !moved.isEmpty { try await cluster.commitOffsets(moved, ofGroup: group) }
            Console.out("Group \(group): \(Format.count(moved.count, "committed offset")).")
        }
    }

    // MARK: Saying so

    private func report(
        _ topics: [TopicDescription], _ sent: (recordCount: Int, byteCount: Int),
        _ comparedCount: Int?, _ seconds: Double, _ notebook: ExportNotebook
    ) async {
        for topic in topics {
            let partitions = await notebook.topic(topic.name)?.partitions ?? [:]
            let count = partitions.values.reduce(0) { $0 + $1.last.target - $1.first.target }
            Console.out(
                "Topic \(topic.name): \(Format.count(topic.partitions.count, "partition")), "
                    + "\(Format.count(Int(count), "record")) in \(target).")
            for partition in topic.partitions {
                guard let last = partitions["\(partition.index)"]?.last.source,
                    last < partition.highWatermark.rawValue
                else { continue }
                Console.note(
                    "\(topic.name)-\(partition.index): a transaction that has not ended begins at "
                        + "offset \(last); what lies behind is not exported yet. See `tally "
                        + "transactions hanging`.")
            }
        }
        Console.out(
            "Exported \(Format.count(sent.recordCount, "record")), \(Format.bytes(sent.byteCount)),"
                + " in \(Format.fixed(seconds, 1)) s."
                + (comparedCount.map {
                    " Read again, \(Format.count($0, "record")) are the same."
                } ?? ""))
    }
}
