import Tally

/// What a projection holds in memory: its progress, the rows it has seen, and everything that the
/// next commit will write. A plain value; SQLite is only on the other side of `StateSource`.
struct ProjectionState {
    /// Finds rows by the bytes of their keys; a key's number is the index of its row.
    var keys = KeyTable()
    var rows: ContiguousArray<InventoryRow> = []
    /// The numbers of the rows that changed since the last commit.
    var touchedRows: [Int] = []
    /// Whether a key that is not in `keys` is not in the table either.
    var cacheIsComplete = false
    /// Whether it was tried to read the whole table at once.
    var hasTriedPreloading = false

    var partitions: [PartitionProgress] = []
    private var partitionSlots: [Int32: Int] = [:]
    /// The slot that was asked for last; records come in runs of one partition.
    private var lastSlot = 0

    /// How far back an event id is looked for, in offsets.
    var deduplicationWindow: Int64 = 0
    /// The event ids in the database, as far as a filter can tell; nil until one is needed.
    var eventIdFilter: EventIdFilter?

    var pending = PendingRows()
    /// The records applied or skipped over since the last commit, and the size of what they left
    /// in `pending`.
    var pendingRecords = 0
    var pendingBytes = 0

    /// The place of a partition in `partitions`, nil for one without a position.
    func slot(of partition: Int32) -> Int? { partitionSlots[partition] }

    /// The place of a partition in `partitions`; a new one begins at offset 0.
    @inline(__always)
    mutating func progressSlot(of partition: Int32) -> Int {
        if lastSlot < partitions.count, partitions[lastSlot].partition == partition {
            return lastSlot
        }
        lastSlot = findSlot(of: partition)
        return lastSlot
    }

    private mutating func findSlot(of partition: Int32) -> Int {
        if let slot = partitionSlots[partition] { return slot }
        add(PartitionProgress(partition: partition))
        return partitions.count - 1
    }

    /// Adds a partition that is not there yet.
    mutating func add(_ progress: PartitionProgress) {
        partitionSlots[progress.partition] = partitions.count
        partitions.append(progress)
    }

    /// Moves a position without a record; going back is ignored.
    mutating func advance(partition: Int32, to next: Offset, leaderEpoch: LeaderEpoch) {
        let slot = progressSlot(of: partition)
        guard next.rawValue > partitions[slot].next else { return }
        partitions[slot].next = next.rawValue
        partitions[slot].leaderEpoch = leaderEpoch.rawValue
        partitions[slot].isTouched = true
        pendingRecords += 1
    }

    /// Makes the pending state the committed one, and empties a cache of more than `cachedRowsMax`
    /// rows: the keys in use come back at the price of reading each once.
    mutating func didCommit(cachedRowsMax: Int) {
        if eventIdFilter?.isFull == true {
            // Made anew from what is stored by then; what was pruned is not in that one.
            eventIdFilter = nil
        } else {
            for event in pending.eventIdList {
                eventIdFilter?.insert(partition: event.partition, id: event.id.rawSpan)
            }
        }
        for slot in partitions.indices where partitions[slot].mustPrune(deduplicationWindow) {
            partitions[slot].prunedBelow = partitions[slot].horizon(deduplicationWindow)
        }
        for slot in partitions.indices where partitions[slot].isTouched {
            partitions[slot].committedNext = partitions[slot].next
            partitions[slot].isTouched = false
        }
        pending = PendingRows()
        pendingRecords = 0
        pendingBytes = 0
        for number in touchedRows { rows[number].isTouched = false }
        touchedRows.removeAll(keepingCapacity: true)
        if rows.count > cachedRowsMax {
            keys = KeyTable()
            rows.removeAll()
            cacheIsComplete = false
        }
    }
}

/// Where a projection's state reads what it does not have in memory.
protocol StateSource: AnyObject {
    /// The row of a key as it was committed last; a new one where there is none.
    func loadRow(_ key: InventoryKey) throws(StateStoreError) -> InventoryRow
    /// Calls `body` with every row there is and its key, unless there are too many to keep. Gives
    /// whether it did.
    func loadAllRows(
        _ body: (_ key: [UInt8], _ row: InventoryRow) -> Void
    ) throws(StateStoreError) -> Bool
    /// A filter that has every event id of the database in it, with room for as many again.
    func loadEventIdFilter() throws(StateStoreError) -> EventIdFilter
    /// The offset at which an event id was last applied, as far as the database knows.
    func storedOffset(of event: EventIdentity) throws(StateStoreError) -> Int64?
}
