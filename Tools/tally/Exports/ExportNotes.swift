import Foundation
import Tally
import TallyFiles
import TallyLog

/// How far topics of a data directory have been exported to Kafka clusters: `kafka-exports.json`
/// beside them. A value.
///
/// What it says may be late, never early: a mark is noted when the cluster has acknowledged what
/// lies before it.
struct ExportNotes: Codable, Equatable {
    static let fileName = "kafka-exports.json"

    /// The same place in a partition here and in the cluster.
    struct Mark: Codable, Hashable {
        /// The next offset to be read here.
        var source: Int64
        /// The offset of the next record there.
        var target: Int64
    }

    /// A partition's marks, rising; the first is where its export began.
    struct Partition: Codable, Equatable {
        private(set) var marks: [Mark]
        /// The offset here of the last record that was sent; nil before the first.
        var lastSource: Int64?

        /// More than so many, and every second one goes.
        private static let markCountMax = 4096

        init(from mark: Mark) { marks = [mark] }

        var first: Mark { marks[0] }
        var last: Mark { marks[marks.count - 1] }

        mutating func add(_ mark: Mark) {
            guard mark.source > last.source || mark.target > last.target else { return }
            // Of several with the same target the last says most: nothing to read lies between.
            if marks.count > 1, mark.target == last.target { marks.removeLast() }
            marks.append(mark)
            guard marks.count > Self.markCountMax else { return }
            marks = marks.enumerated()
                .filter { $0.offset % 2 == 0 || $0.offset == marks.count - 1 }.map(\.element)
        }
    }

    /// A topic's export to one cluster.
    struct Topic: Codable, Equatable {
        /// Which topic of the name it is here.
        var sourceID: String
        /// Which it is there; nil where the cluster has no ids.
        var targetID: String?
        /// Whether the export has created it, and so may change its settings.
        var isCreatedByExport: Bool
        /// By number.
        var partitions: [String: Partition] = [:]

        /// Whether it was about to be created when it was noted last.
        var isBeingCreated: Bool { isCreatedByExport && targetID == nil && partitions.isEmpty }
    }

    private(set) var version = 1
    /// Topics by name, by cluster.
    var clusters: [String: [String: Topic]] = [:]

    /// What a data directory has noted; nothing where it has no such file.
    static func read(
        from directory: String, on fileSystem: any FileSystem = PosixFileSystem()
    ) throws -> ExportNotes {
        let path = joinPath(directory, fileName)
        guard let bytes = try fileSystem.readWhole(path, byteCountMax: 256 << 20) else {
            return ExportNotes()
        }
        do {
            let notes = try JSONDecoder().decode(ExportNotes.self, from: Data(bytes))
            if notes.version == 1, notes.isSound { return notes }
        } catch {}
        throw EngineError.unreadableFile(
            path: path,
            reason: "it does not say how far exports have come, as Tally writes it; without it "
                + "only empty topics can be exported to")
    }

    /// Whether each partition has a mark, and marks rise.
    private var isSound: Bool {
        clusters.values.flatMap(\.values).flatMap(\.partitions.values).allSatisfy { partition in
            !partition.marks.isEmpty
                && zip(partition.marks, partition.marks.dropFirst()).allSatisfy {
                    $0.source <= $1.source && $0.target <= $1.target
                }
        }
    }

    func write(
        to directory: String, on fileSystem: any FileSystem = PosixFileSystem()
    ) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = [UInt8](try encoder.encode(self))
        try fileSystem.replace(joinPath(directory, Self.fileName), with: bytes)
    }
}

/// The notes while an export is at work, and how far it is.
///
/// Thread rule: any task.
actor ExportNotebook {
    private let directory: String
    private let cluster: String
    private var notes: ExportNotes
    private var isChanged = false
    private var lastWrite = ContinuousClock.now
    private let bar = ProgressBar("exporting")
    private let offsetCount: Int64
    private var doneCount: Int64 = 0
    /// Records that were sent, and their bytes in batches.
    private(set) var sent = (recordCount: 0, byteCount: 0)

    /// - Parameter offsetCount: how many offsets there are to be gone through, for people.
    init(_ notes: ExportNotes, of cluster: String, in directory: String, offsetCount: Int64) {
        self.notes = notes
        self.cluster = cluster
        self.directory = directory
        self.offsetCount = offsetCount
    }

    func topic(_ name: String) -> ExportNotes.Topic? { notes.clusters[cluster]?[name] }

    func partition(_ id: TopicPartition) -> ExportNotes.Partition? {
        topic(id.topic)?.partitions["\(id.partition)"]
    }

    /// Notes a topic anew, on stable storage.
    func begin(_ name: String, _ topic: ExportNotes.Topic) throws {
        notes.clusters[cluster, default: [:]][name] = topic
        try write()
    }

    /// Notes where a partition's export begins, on stable storage: before anything is sent.
    func begin(_ id: TopicPartition, at mark: ExportNotes.Mark) throws {
        notes.clusters[cluster]?[id.topic]?.partitions["\(id.partition)"] =
            ExportNotes.Partition(from: mark)
        try write()
    }

    /// Notes how far a partition is; from time to time that is written.
    ///
    /// - Parameter last: the offset here of the last record before it, where there is one.
    func note(_ id: TopicPartition, _ mark: ExportNotes.Mark, last: Offset?) throws {
        guard var partition = partition(id) else { return }
        doneCount += mark.source - partition.last.source
        partition.add(mark)
        if let last { partition.lastSource = last.rawValue }
        notes.clusters[cluster]?[id.topic]?.partitions["\(id.partition)"] = partition
        isChanged = true
        bar.update(doneCount, of: offsetCount, unit: "offsets")
        if ContinuousClock.now - lastWrite > .seconds(1) { try write() }
    }

    func noteSent(records: Int, bytes: Int) {
        sent = (sent.recordCount + records, sent.byteCount + bytes)
    }

    /// Writes what is not written yet.
    func store() throws {
        if isChanged { try write() }
    }

    func finish() { bar.finish() }

    private func write() throws {
        try notes.write(to: directory)
        isChanged = false
        lastWrite = .now
    }
}
