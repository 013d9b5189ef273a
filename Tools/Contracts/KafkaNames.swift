/// The names that may stand under the Kafka bindings of AsyncAPI (version 0.5.0 of the bindings),
/// and the topic settings of Kafka 4.0. From the specification and Kafka's documentation.
enum KafkaNames {
    /// Of a channel binding.
    static let channel = [
        "topic", "partitions", "replicas", "topicConfiguration", "bindingVersion",
    ]
    /// Of a message binding.
    static let message = [
        "key", "schemaIdLocation", "schemaIdPayloadEncoding", "schemaLookupStrategy",
        "bindingVersion",
    ]
    /// Extensions of a channel that are read here.
    static let extensions = [
        "x-tally-contents", "x-tally-partitions-reason", "x-tally-key-reason",
        "x-tally-recovery-window-ms",
    ]
    /// Settings that are whole numbers.
    static let integerSettings: Set<String> = [
        "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
        "delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms",
        "index.interval.bytes", "local.retention.bytes", "local.retention.ms",
        "max.compaction.lag.ms", "max.message.bytes", "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms", "min.compaction.lag.ms", "min.insync.replicas",
        "retention.bytes", "retention.ms", "segment.bytes", "segment.index.bytes",
        "segment.jitter.ms", "segment.ms",
    ]
    /// Other settings.
    private static let otherSettings: Set<String> = [
        "cleanup.policy", "compression.type", "follower.replication.throttled.replicas",
        "leader.replication.throttled.replicas", "message.timestamp.type",
        "min.cleanable.dirty.ratio", "preallocate", "remote.log.copy.disable",
        "remote.log.delete.on.disable", "remote.storage.enable", "tally.durability",
        "unclean.leader.election.enable",
    ]
    /// All settings, by name.
    static let settings = integerSettings.union(otherSettings).sorted()
    /// What the bindings let one vendor put beside the settings: about schemas, and passed over.
    static let vendorPrefix = "confluent."

    /// The allowed name nearest to one that is not, where it may have been meant.
    static func hint(for name: String, among allowed: [String]) -> String {
        let near = allowed.map { ($0, distance(name, $0)) }.min { $0.1 < $1.1 }
        guard let near, near.1 <= max(2, name.count / 3) else {
            return "allowed are \(allowed.joined(separator: ", "))"
        }
        return "did you mean \(near.0)? Allowed are \(allowed.joined(separator: ", "))"
    }

    /// Insertions, deletions and replacements that turn one text into the other (Levenshtein's
    /// distance, a row at a time). Case, dots, dashes and underscores make no difference.
    static func distance(_ first: String, _ second: String) -> Int {
        func letters(_ text: String) -> [Character] {
            text.lowercased().prefix(100).filter { !"._-".contains($0) }
        }
        let (first, second) = (letters(first), letters(second))
        var row = Array(0...second.count)
        for (index, letter) in first.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in second.enumerated() {
                let replaced = diagonal + (letter == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
            }
        }
        return row[second.count]
    }
}
