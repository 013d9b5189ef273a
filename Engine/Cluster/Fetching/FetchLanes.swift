import TallyReplication

/// On which connection to a leader each of its partitions is fetched. A value.
///
/// What had records of late is fetched on busy lanes, in requests that name few partitions and wait
/// for moments; everything else on the quiet lane, in requests that name thousands perhaps, and
/// wait long. So partitions without traffic cost those with traffic nothing. On its way from one to
/// the other a partition is fetched on both, until the lane that it goes to has asked for it: at no
/// time does nobody wait for its records. What comes twice does not go on where the log ends by
/// then, and is dropped.
struct FetchLanes {
    /// One connection.
    enum Lane: Hashable, Sendable {
        case quiet
        case busy(Int)
    }

    private struct Entry {
        var lane: Lane
        /// Where it comes from, until its lane has asked for it.
        var leaving: Lane?
        /// When it had records last; nil where it had none.
        var recordsCame: ContinuousClock.Instant?
        /// Whose answer was an error: not asked for before.
        var rest: ContinuousClock.Instant?
        /// Grows with each answer that has records, so that every partition has its turn.
        var turn = 0
    }

    /// More threads and connections to a leader are of no use to anybody.
    static let busyCountMax = 64

    /// How long a partition without records stays on a busy lane.
    static let busyTime = Duration.seconds(1)

    private var entries: [PartitionID: Entry] = [:]
    /// How many partitions each busy lane has.
    private var counts: [Int]
    private var turn = 0

    init(busyCount: Int) {
        counts = [Int](repeating: 0, count: min(max(busyCount, 1), Self.busyCountMax))
    }

    /// All lanes there are.
    var lanes: [Lane] { [.quiet] + counts.indices.map { .busy($0) } }

    /// Fetches a partition from now on: on a busy lane, which asks for it within moments. Returns
    /// on which.
    mutating func add(_ id: PartitionID) -> Lane {
        remove(id)
        let lane = emptiestLane
        entries[id] = Entry(lane: lane)
        count(lane, 1)
        return lane
    }

    mutating func remove(_ id: PartitionID) {
        if let entry = entries.removeValue(forKey: id) { count(entry.lane, -1) }
    }

    private var emptiestLane: Lane {
        .busy(counts.indices.min { counts[$0] < counts[$1] } ?? 0)
    }

    private mutating func count(_ lane: Lane, _ change: Int) {
        if case .busy(let index) = lane { counts[index] += change }
    }

    /// What a lane has to fetch now, those first that had no records for longest, and whether
    /// others wait for their time.
    mutating func take(
        for lane: Lane, at now: ContinuousClock.Instant
    ) -> (partitions: [PartitionID], haveOthers: Bool) {
        var found: [(turn: Int, id: PartitionID)] = []
        var haveOthers = false
        for (id, entry) in entries where entry.lane == lane || entry.leaving == lane {
            if let rest = entry.rest, rest > now {
                haveOthers = true
                continue
            }
            if entry.lane == lane { entries[id]?.leaving = nil }
            found.append((entry.turn, id))
        }
        found.sort { $0.turn < $1.turn }
        return (found.map(\.id), haveOthers)
    }

    /// A lane had an answer. Returns where partitions go that are to be fetched elsewhere.
    mutating func note(
        _ answers: [(id: PartitionID, hasRecords: Bool)], on lane: Lane,
        at now: ContinuousClock.Instant
    ) -> Set<Lane> {
        turn += 1
        var targets: Set<Lane> = []
        for (id, hasRecords) in answers {
            guard var entry = entries[id] else { continue }
            if hasRecords {
                entry.recordsCame = now
                entry.turn = turn
            }
            let wasBusy = entry.recordsCame.map { now - $0 < Self.busyTime } ?? false
            if entry.lane == lane, wasBusy == (lane == .quiet) {
                entry.leaving = lane
                entry.lane = lane == .quiet ? emptiestLane : .quiet
                count(lane, -1)
                count(entry.lane, 1)
                targets.insert(entry.lane)
            }
            entries[id] = entry
        }
        return targets
    }

    /// Does not ask for a partition before a time.
    mutating func rest(_ id: PartitionID, until time: ContinuousClock.Instant) {
        entries[id]?.rest = time
    }
}
