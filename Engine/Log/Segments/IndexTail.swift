import TallyFiles
import TallyRecords

/// The end of an index file that is not written yet, and how many entries are.
///
/// Entries of the active segment gather in memory and go to the file in pages, so that appending
/// costs no system call per entry; an index is never evidence, so losing the tail in a crash
/// costs a rebuild and no data. While the disk is full they stay in memory, at most
/// `segment.index.bytes` of them, since the segment is rolled then.
struct IndexTail<Entry: IndexEntry>: Sendable {
    /// Entries in the file.
    private(set) var writtenCount = 0
    /// Entries that follow them, rising.
    private(set) var entries: [Entry] = []
    /// The newest entry, wherever it is.
    private(set) var last: Entry?

    /// More entries than this in memory are due to be written.
    static var entriesMax: Int { 1024 }

    init() {}

    /// A tail behind `count` entries in the file, the last of which is `last`.
    init(writtenCount count: Int, last: Entry?) {
        writtenCount = count
        self.last = last
    }

    var count: Int { writtenCount + entries.count }
    var isDue: Bool { entries.count >= Self.entriesMax }

    mutating func append(_ entry: Entry) {
        invariant(last?.precedes(entry) ?? true, "index entries rise")
        entries.append(entry)
        last = entry
    }

    /// The last entry in memory that satisfies a condition which holds for a prefix of the entries.
    func lastEntry(where isBefore: (Entry) -> Bool) -> Entry? {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(entries[middle]) { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : entries[low - 1]
    }

    /// Notes that a file was made which holds all entries.
    mutating func noteReplaced() { self = IndexTail(writtenCount: count, last: last) }

    /// Writes the tail behind what the file holds.
    mutating func write(to file: PooledFile) throws(FileError) {
        guard !entries.isEmpty else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * Entry.byteCount)
        for entry in entries { entry.encode(into: &bytes) }
        try file.write(all: bytes.rawSpan, at: Int64(writtenCount * Entry.byteCount))
        writtenCount += entries.count
        entries.removeAll(keepingCapacity: true)
    }
}

/// The last entry that satisfies a condition which holds for a prefix of the entries.
///
/// The last 8 KiB are searched first: nearly all lookups are near the end of the log.
func lastEntry<Entry: IndexEntry>(
    in bytes: RawSpan, count: Int, where isBefore: (Entry) -> Bool
) -> Entry? {
    var low = 0
    var high = count
    let recent = 8192 / Entry.byteCount
    if count > recent,
        isBefore(Entry(decoding: bytes, at: (count - recent) * Entry.byteCount))
    {
        low = count - recent
    }
    // `low` entries satisfy the condition, entries from `high` on do not.
    while low < high {
        let middle = (low + high) / 2
        if isBefore(Entry(decoding: bytes, at: middle * Entry.byteCount)) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    return low == 0 ? nil : Entry(decoding: bytes, at: (low - 1) * Entry.byteCount)
}

/// How many entries at the start of an index file are sound: they rise and lie in the segment.
///
/// Zero-filled tails, torn ends and garbage all end the sound part.
func soundPrefix<Entry: IndexEntry>(
    of bytes: RawSpan, accept: (Entry) -> Bool
) -> (count: Int, last: Entry?) {
    var count = 0
    var last: Entry?
    while (count + 1) * Entry.byteCount <= bytes.byteCount {
        let entry = Entry(decoding: bytes, at: count * Entry.byteCount)
        guard accept(entry), last?.precedes(entry) ?? true else { break }
        last = entry
        count += 1
    }
    return (count, last)
}
