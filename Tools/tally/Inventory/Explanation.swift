import Tally
import TallyFiles
import TallyLog
import TallyStateStore

/// What happened to an item in one topic, and who has seen it. Made from the files without a lock.
struct Explanation {
    let topic: TopicDescription
    /// What its records did, partition by partition, in the order of their offsets.
    private(set) var events: [ExplainedEvent] = []
    /// The stock after all of them.
    private(set) var stock: ExplainedEvent.Stock
    /// The projection of the topic, where there is one, and its row of the item.
    let projection: ProjectionStatus?
    let row: StockLevel?
    /// The groups that have committed an offset in a partition that the item has records in.
    private(set) var groups: [Group] = []

    /// A group's positions in the partitions of the item.
    struct Group {
        var name: String
        var committed: [Int32: Offset]
    }

    /// What is stored beside the logs. Read before these, so that positions lie within them.
    struct Stored {
        var projections: [ProjectionStatus] = []
        var rows: [StockLevel] = []
        var groups: [StoredGroup] = []
    }

    /// Looks at all records of a topic.
    ///
    /// Throws ``CommandFailure`` that names file and position where records cannot be read.
    init(
        of key: String, in topic: TopicDescription, directory: String, _ stored: Stored
    ) throws {
        self.topic = topic
        projection = stored.projections.first { $0.topic == topic.name }
        row = stored.rows.first { $0.topic == topic.name }
        stock = ExplainedEvent.Stock()
        do {
            try walk(key, directory)
        } catch let error as LogError where error.isOfChangingFiles {
            // Retired or rewritten while they were read: looked at again, the files are whole.
            try walk(key, directory)
        }
        let partitions = Set(events.map(\.partition))
        groups = stored.groups.compactMap { group in
            var committed: [Int32: Offset] = [:]
            for (place, offset) in group.offsets
            where place.topic == topic.name && partitions.contains(place.partition) {
                committed[place.partition] = offset.offset
            }
            return committed.isEmpty ? nil : Group(name: group.group, committed: committed)
        }
    }

    private mutating func walk(_ key: String, _ directory: String) throws {
        let window = projection?.deduplicationWindow
        var explainer =
            window.map { InventoryExplainer(key: key, deduplicationWindow: $0) }
            ?? InventoryExplainer(key: key)
        var found: [ExplainedEvent] = []
        var survey = RecordSurvey()
        for (index, place) in topic.places(in: directory).enumerated() {
            // As the projection counts: what was aborted never happened.
            try survey.forEachRecord(
                of: place.path, from: place.logStart, isolation: .readCommitted
            ) { record, batch in
                let event = try explainer.apply(
                    partition: Int32(index), offset: record.offset,
                    leaderEpoch: batch.partitionLeaderEpoch, timestamp: record.timestamp,
                    key: record.key, value: record.value)
                if let event { found.append(event) }
            }
        }
        events = found
        stock = explainer.stock
    }

    /// Whether the projection has an event in its rows; nil where there is no projection.
    func isProjected(_ event: ExplainedEvent) -> Bool? {
        projection.map { status in
            status.partitions.contains {
                $0.partition == event.partition && $0.nextOffset > event.offset
            }
        }
    }

    /// The groups that have committed an offset behind an event.
    func groupsBehind(_ event: ExplainedEvent) -> [String] {
        groups.filter { $0.committed[event.partition] ?? .zero > event.offset }.map(\.name)
    }

    /// The partitions that the item has records in.
    var partitions: [Int32] { Set(events.map(\.partition)).sorted() }

    /// The item's partitions whose first records are gone: quantities count from nothing there.
    var cutPartitions: [PartitionDescription] {
        let wanted = Set(partitions)
        return topic.partitions.filter { wanted.contains($0.index) && $0.logStart > .zero }
    }

    /// Whether the projection's row is what its events come to; nil where that cannot be told:
    /// there is no projection, early records are gone, or it is in more than one partition.
    var agreesWithProjection: Bool? {
        guard projection != nil, cutPartitions.isEmpty, partitions.count == 1 else { return nil }
        let last = events.last { isProjected($0) == true }
        let expected = last?.after ?? ExplainedEvent.Stock()
        return (row?.onHand ?? 0) == expected.onHand && (row?.reserved ?? 0) == expected.reserved
    }

    /// How many events had this outcome.
    func count(_ isWanted: (ExplainedEvent.Outcome) -> Bool) -> Int {
        events.filter { isWanted($0.outcome) }.count
    }
}
