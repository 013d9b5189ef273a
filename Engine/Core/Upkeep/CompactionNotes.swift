import TallyFiles

/// `compaction-status.json`: what the cleanings of each partition have done, for people and for
/// `tally compaction status`. Nothing depends on it: where it is lost or damaged it begins anew.
///
/// `{"version":1,"partitions":{"orders-0":{...}}}`. A value; the compactor serialises the writing.
struct CompactionNotes {
    private static let file = NotesFile(name: "compaction-status.json")

    private struct Stored: Codable {
        var version: Int
        var partitions: [String: CompactionHistory]
    }

    /// By partition name; empty where there is no file that makes sense, and without the
    /// partitions whose numbers make none.
    static func read(
        from directory: String, on fileSystem: any FileSystem
    ) -> [String: CompactionHistory] {
        guard let stored = file.read(Stored.self, from: directory, on: fileSystem),
            stored.version == 1
        else { return [:] }
        return stored.partitions.filter { $0.value.isSensible }
    }

    /// Replaces the file.
    static func write(
        _ histories: [String: CompactionHistory], to directory: String,
        on fileSystem: any FileSystem
    ) throws {
        try file.write(
            Stored(version: 1, partitions: histories), to: directory, on: fileSystem)
    }
}
