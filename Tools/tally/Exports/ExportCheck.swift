import Tally
import TallyClient

/// What was exported, read again at both sides: compared record by record, and counted for where
/// groups stand. Used by one task.
struct ExportCheck {
    let engine: Engine
    let cluster: ClusterClient
    /// For people.
    let target: String

    /// Compares all records that a partition has at both sides and that were exported.
    ///
    /// - Returns: how many. Throws a ``CommandFailure`` at the first difference.
    func compare(_ id: TopicPartition, _ noted: ExportNotes.Partition) async throws -> Int {
        let sourceStart = try engine.describePartition(id).logStart.rawValue
        let targetStart = try await cluster.offsets(of: [id], at: .logStart)[id] ?? .zero
        // Where one side has let go of its beginning, from the first place that both have.
        guard
            let first = noted.marks.first(where: {
                $0.source >= sourceStart && $0.target >= targetStart.rawValue
            })
        else {
            throw CommandFailure(
                "\(id): what was exported is not there any more at one side, and cannot be compared"
            )
        }
        let end = noted.last
        var mine = try SourceRecords(id, from: Offset(first.source), in: engine)
        var theirs = await TargetRecords(
            id, in: Offset(first.target)..<Offset(end.target), of: cluster)
        var count: Int64 = 0
        while let there = try await theirs.next() {
            try Task.checkCancellation()
            guard let here = try await mine.next(), here.offset.rawValue < end.source,
                there.offset.rawValue == first.target + count, here.isSame(as: there)
            else { throw difference(id, there.offset) }
            count += 1
        }
        if let more = try await mine.next(), more.offset.rawValue < end.source {
            throw difference(id, Offset(first.target + count))
        }
        guard first.target + count == end.target else {
            throw difference(id, Offset(first.target + count))
        }
        return Int(count)
    }

    private func difference(_ id: TopicPartition, _ offset: Offset) -> CommandFailure {
        let isCompacted = (try? engine.describeTopic(id.topic).configuration.isCompacted) ?? false
        return CommandFailure(
            "\(id): at offset \(offset) \(target) does not have what was exported"
                + (isCompacted
                    ? "; the topic is compacted, and may have been cleaned since at either side"
                    : ""))
    }

    /// Where in the cluster the record at an offset here is, or would be: behind as many records as
    /// lie before it. Never too far, also where some of these are gone by now.
    func translate(
        _ offset: Offset, of id: TopicPartition, _ noted: ExportNotes.Partition
    ) async throws -> Offset {
        let wanted = offset.rawValue
        guard wanted > noted.first.source else { return Offset(noted.first.target) }
        guard wanted < noted.last.source else { return Offset(noted.last.target) }
        let mark = noted.marks.last { $0.source <= wanted } ?? noted.first
        var target = mark.target
        guard mark.source < wanted else { return Offset(target) }
        let start = try engine.describePartition(id).logStart
        guard wanted > start.rawValue else { return Offset(target) }
        var records = try SourceRecords(
            id, from: max(Offset(mark.source), start), in: engine)
        while let record = try await records.next(), record.offset < offset { target += 1 }
        return Offset(target)
    }
}
