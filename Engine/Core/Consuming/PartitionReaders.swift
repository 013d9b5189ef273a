import Synchronization
import TallyGroups
import TallyLog
import TallyRecords

/// The partitions that a consumer reads, which take turns.
///
/// Thread rule: any thread; ``fetchAny()`` by one at a time.
final class PartitionReaders: Sendable {
    /// Signalled when one of them may have news, and by whoever else wants to be heard.
    let arrival = Arrival()
    private let readers: Mutex<[PartitionReader]>
    private let turn = Atomic<Int>(0)

    init(_ readers: [PartitionReader] = []) { self.readers = Mutex(readers) }

    deinit { removeAll() }

    /// All of them, in the order in which they came.
    var all: [PartitionReader] { readers.withLock { $0 } }

    /// How many there are.
    var count: Int { readers.withLock { $0.count } }

    func add(_ reader: PartitionReader) {
        readers.withLock { $0.append(reader) }
    }

    func remove(_ partitions: Set<TopicPartition>) {
        let gone = readers.withLock { readers in
            let gone = readers.filter { partitions.contains($0.id) }
            readers.removeAll { partitions.contains($0.id) }
            return gone
        }
        for reader in gone {
            reader.retire()
            reader.partition.arrivals.remove(arrival)
        }
    }

    func removeAll() { remove(Set(all.map(\.id))) }

    func first(_ partition: TopicPartition) -> PartitionReader? {
        readers.withLock { $0.first { $0.id == partition } }
    }

    /// Records of the next partition that has some. Blocks; on a worker.
    func fetchAny() throws -> Fetched {
        let readers = all
        var hasEnded = !readers.isEmpty
        for _ in readers.indices {
            let index = turn.wrappingAdd(1, ordering: .relaxed).oldValue
            switch try readers[(index & Int.max) % readers.count].fetch() {
            case .records(let records): return .records(records)
            case .nothing: hasEnded = false
            case .ended: break
            }
        }
        return hasEnded ? .ended : .nothing
    }

    /// What a commit of all positions says.
    var offsetsToCommit: [TopicPartition: OffsetToCommit] {
        var offsets: [TopicPartition: OffsetToCommit] = [:]
        for reader in all {
            guard let (offset, epoch) = reader.positionAndEpoch else { continue }
            offsets[reader.id] = OffsetToCommit(offset: offset, leaderEpoch: epoch)
        }
        return offsets
    }

    /// Has every partition tell of its next record.
    func watch() {
        for reader in all { reader.watch(for: arrival) }
    }
}
