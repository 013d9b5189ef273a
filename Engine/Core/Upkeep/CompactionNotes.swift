import FoundationEssentials
import TallyFiles
import TallyLog

/// `compaction-status.json`: what the cleanings of each partition have done, for people and for
/// `tally compaction status`. Nothing depends on it: where it is lost or damaged it begins anew.
///
/// `{"version":1,"partitions":{"orders-0":{...}}}`. A value; the compactor serialises the writing.
struct CompactionNotes {
    static let fileName = "compaction-status.json"
    private static let byteCountMax = 64 << 20

    private struct Stored: Codable {
        var version: Int
        var partitions: [String: CompactionHistory]
    }

    /// By partition name; empty where there is no file that makes sense, and without the
    /// partitions whose numbers make none.
    static func read(
        from directory: String, on fileSystem: any FileSystem
    ) -> [String: CompactionHistory] {
        let path = joinPath(directory, fileName)
        guard let found = try? fileSystem.readWhole(path, byteCountMax: byteCountMax),
            let stored = try? JSONDecoder().decode(Stored.self, from: Data(found)),
            stored.version == 1
        else { return [:] }
        return stored.partitions.filter { $0.value.isSensible }
    }

    /// Replaces the file.
    static func write(
        _ histories: [String: CompactionHistory], to directory: String,
        on fileSystem: any FileSystem
    ) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let bytes = try encoder.encode(Stored(version: 1, partitions: histories))
        try fileSystem.replace(
            joinPath(directory, fileName), with: Array(bytes) + [UInt8(ascii: "\n")])
    }
}
