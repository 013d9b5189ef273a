import Tally
import TallyFiles
import TallyLog
import TallyRecords

/// Where the offsets of a group are to be put, with what they are now. A value; made from the files
/// without a lock.
struct OffsetResetPlan {
    /// Where to.
    enum Target {
        case earliest
        case latest
        case offset(Int64)
        /// The first record of this time or later; the end where there is none.
        case time(Timestamp)
        /// So many offsets on from what is committed, or back.
        case shift(Int64)
        /// Where it is; the end where nothing is committed.
        case current
        case given([TopicPartition: Int64])
    }

    /// What happens to one partition.
    struct Step {
        var partition: TopicPartition
        /// What is committed now.
        var old: CommittedOffset?
        var new: OffsetToCommit
        /// What the person may not expect.
        var note: String?

        var isChange: Bool {
            old?.offset != new.offset || old?.leaderEpoch != new.leaderEpoch
        }
    }

    /// By topic and partition.
    private(set) var steps: [Step] = []

    private let directory: String
    private let fileSystem = PosixFileSystem()

    /// Plans. Offsets that the log does not hold are moved to its nearer end, as Kafka's tool does.
    ///
    /// Throws ``CommandFailure`` where a partition cannot be read, or has no offset to shift.
    init(
        _ target: Target, of partitions: Set<TopicPartition>,
        committed: [TopicPartition: CommittedOffset], topics: [TopicDescription],
        in directory: String
    ) throws {
        self.directory = directory
        for partition in partitions.sorted() {
            let log = topics.first { $0.name == partition.topic }?.partitions
                .first { $0.index == partition.partition }
            guard let log else {
                throw CommandFailure(
                    "there is no partition \(partition)", exitCode: ExitCodes.noInput)
            }
            if log.segmentCount == 0, let problem = log.problem {
                throw CommandFailure("\(partition) cannot be read: \(problem)")
            }
            steps.append(try step(target, partition, log, committed[partition]))
        }
    }

    private func step(
        _ target: Target, _ partition: TopicPartition, _ log: PartitionDescription,
        _ old: CommittedOffset?
    ) throws -> Step {
        let (start, end) = (log.logStart.rawValue, log.logEnd.rawValue)
        var note: String?
        let wanted: Int64
        switch target {
        case .earliest: wanted = start
        case .latest: wanted = end
        case .offset(let offset): wanted = offset
        case .time(let time):
            let found = try offset(at: time, in: partition, log)
            if found == nil { note = "no record of that time or later: the end" }
            wanted = found?.rawValue ?? end
        case .shift(let distance):
            guard let old else {
                throw CommandFailure(
                    "nothing is committed for \(partition): nothing can be shifted")
            }
            let (sum, overflow) = old.offset.rawValue.addingReportingOverflow(distance)
            wanted = overflow ? (distance < 0 ? .min : .max) : sum
        case .current:
            if old == nil { note = "nothing is committed: the end" }
            wanted = old?.offset.rawValue ?? end
        case .given(let offsets): wanted = offsets[partition] ?? end
        }
        if wanted < start { note = "\(wanted) is below the log start \(start)" }
        if wanted > end { note = "\(wanted) is above the log end \(end)" }
        let offset = Offset(min(max(wanted, start), end))
        let epochs = try LeaderEpochs.read(from: path(partition), on: fileSystem)
        var new = OffsetToCommit(offset: offset, leaderEpoch: epochs.epoch(before: offset))
        if let old, old.offset == offset {
            new.metadata = old.metadata
            if epochs.holds(offset, behind: old.leaderEpoch, logEnd: log.logEnd) {
                new.leaderEpoch = old.leaderEpoch
            } else {
                // The group refuses to go on from there until somebody says that it may.
                note = "the records before it were replaced since it was committed"
            }
        }
        return Step(partition: partition, old: old, new: new, note: note)
    }

    private func path(_ partition: TopicPartition) -> String {
        joinPath(directory, partition.description)
    }

    private func offset(
        at time: Timestamp, in partition: TopicPartition, _ log: PartitionDescription
    ) throws -> Offset? {
        let snapshot = try PartitionSnapshot(
            opening: path(partition), environment: .readOnly(on: fileSystem),
            logStart: log.logStart)
        return try snapshot.offset(forTimestamp: time)?.offset
    }

    /// What is to be committed.
    var offsets: [TopicPartition: OffsetToCommit] {
        Dictionary(steps.map { ($0.partition, $0.new) }, uniquingKeysWith: { $1 })
    }
}

extension LeaderEpochs {
    /// The leader epoch of the record before an offset: by it a consumer notices later that the
    /// log was cut and written anew behind the offset.
    fileprivate func epoch(before offset: Offset) -> LeaderEpoch {
        entries.last { $0.startOffset < offset }?.epoch ?? .none
    }

    /// Whether the record before an offset is still of the epoch that was committed with it.
    fileprivate func holds(_ offset: Offset, behind epoch: LeaderEpoch, logEnd: Offset) -> Bool {
        guard epoch != .none, let end = endOffset(forEpoch: epoch, logEnd: logEnd) else {
            return true
        }
        return end.epoch == epoch && end.endOffset >= offset
    }
}
