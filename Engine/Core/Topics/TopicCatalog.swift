import FoundationEssentials
import TallyFiles
import TallyLog

/// `topics.json`: the names, identities, partition counts and configurations of all topics.
///
/// Small, written whole and synced on each change. A value, owned by the engine. The file is
/// this version 1: `{"version":1,"topics":[{"name","id","partitions","config":{...}}]}`, with
/// `"kept":[...]` where not all partitions have a replica here.
struct TopicCatalog: Sendable {
    static let fileName = "topics.json"
    private static let byteCountMax = 64 << 20

    /// One topic.
    struct Topic: Hashable, Sendable {
        var name: String
        var id: TopicID
        var partitionCount: Int
        var configuration: TopicConfiguration
        /// Found by its directories, without `topics.json`: nobody has stated its configuration,
        /// so nothing of it may be retired or compacted.
        var isDiscovered = false
        /// Which partitions have a replica here; nil for all.
        var kept: Set<Int32>?

        /// Whether a partition has a replica here.
        func keeps(_ partition: Int32) -> Bool {
            partition < partitionCount && kept?.contains(partition) ?? true
        }
    }

    var topics: [String: Topic] = [:]

    /// The names, by identity.
    var names: [TopicID: String] {
        Dictionary(topics.values.map { ($0.id, $0.name) }, uniquingKeysWith: { $1 })
    }

    private struct Stored: Codable {
        var version: Int
        var topics: [StoredTopic]
    }

    private struct StoredTopic: Codable {
        var name: String
        var id: String
        var partitions: Int
        var config: [String: String]
        var discovered: Bool?
        var kept: [Int32]?
    }

    /// Reads the file; nil when it is absent.
    static func read(
        from directory: String, on fileSystem: any FileSystem
    ) throws -> TopicCatalog? {
        let path = joinPath(directory, fileName)
        guard let bytes = try fileSystem.readWhole(path, byteCountMax: byteCountMax) else {
            return nil
        }
        func refuse(_ reason: String) -> EngineError {
            .unreadableFile(path: path, reason: reason)
        }
        let stored: Stored
        do {
            stored = try JSONDecoder().decode(Stored.self, from: Data(bytes))
        } catch {
            throw refuse("it is not the JSON that was written (\(error))")
        }
        guard stored.version == 1 else {
            throw refuse("it has version \(stored.version), and this program reads version 1")
        }
        var catalog = TopicCatalog()
        for topic in stored.topics {
            let problem = "the entry of topic \"\(topic.name)\" makes no sense"
            let settings: TopicConfiguration
            do {
                try TopicName.check(topic.name)
                settings = try TopicConfiguration(stored: topic.config)
            } catch {
                throw refuse("\(problem): \(error)")
            }
            guard let id = TopicID(topic.id),
                (1...TopicLimits.partitionsMax).contains(
                    topic.partitions), catalog.topics[topic.name] == nil
            else { throw refuse(problem) }
            catalog.topics[topic.name] = Topic(
                name: topic.name, id: id, partitionCount: topic.partitions,
                configuration: settings,
                isDiscovered: topic.discovered ?? false, kept: topic.kept.map(Set.init))
        }
        return catalog
    }

    /// Replaces the file; on return it is on stable storage.
    func write(to directory: String, on fileSystem: any FileSystem) throws {
        let stored = Stored(
            version: 1,
            topics: topics.values.sorted { $0.name < $1.name }.map { topic in
                StoredTopic(
                    name: topic.name, id: topic.id.description, partitions: topic.partitionCount,
                    config: topic.configuration.values,
                    discovered: topic.isDiscovered ? true : nil, kept: topic.kept?.sorted())
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let bytes = Array(try encoder.encode(stored)) + [UInt8(ascii: "\n")]
        try fileSystem.replace(joinPath(directory, Self.fileName), with: bytes)
    }

    /// The topics that partition directories show, where the file is lost: names, identities and
    /// numbers of partitions, with nothing configured.
    static func discover(
        in directory: String, on fileSystem: any FileSystem
    ) throws -> TopicCatalog {
        var catalog = TopicCatalog()
        for name in try fileSystem.list(directory) {
            guard let (topic, partition) = TopicName.split(name),
                (try? TopicName.check(topic)) != nil,
                Int(partition) < TopicLimits.partitionsMax,
                try fileSystem.information(joinPath(directory, name))?.isDirectory == true
            else { continue }
            let path = joinPath(directory, name)
            // A damaged one stops its partition later, and not the search.
            let id = try? PartitionMetadata.read(from: path, on: fileSystem)
            var found =
                catalog.topics[topic]
                ?? Topic(
                    name: topic, id: id ?? .random(), partitionCount: 0,
                    configuration: TopicConfiguration(), isDiscovered: true)
            found.partitionCount = max(found.partitionCount, Int(partition) + 1)
            if let id { found.id = id }
            catalog.topics[topic] = found
        }
        return catalog
    }
}
