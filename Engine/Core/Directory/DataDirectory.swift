import FoundationEssentials
import TallyFiles
import TallyLog
import TallyRecords

/// The files of a data directory that are neither a topic's nor a partition's: the lock, the
/// identity, the mark of a clean stop, the checkpoints. Kafka's names and formats.
///
/// Immutable; the engine's lock serialises the writing.
struct DataDirectory: Sendable {
    let path: String
    let fileSystem: any FileSystem

    static let lockName = ".lock"
    private static let cleanShutdownName = ".kafka_cleanshutdown"
    static let identityName = "meta.properties"

    /// Takes the directory for this engine, creating it and its parents where they are missing.
    ///
    /// Throws ``EngineError/directoryInUse(directory:holder:)`` naming the holder's process id.
    func acquire() throws -> any FileLock {
        try createWithParents(path)
        do {
            let pid = ProcessInfo.processInfo.processIdentifier
            return try fileSystem.lock(joinPath(path, Self.lockName), contents: "\(pid)\n")
        } catch .held(let holder) {
            let name = holder.split(whereSeparator: \.isWhitespace).first.map { String($0) }
            throw EngineError.directoryInUse(directory: path, holder: name ?? "unknown")
        } catch .failed(let error) {
            throw LogError.file(error)
        }
    }

    private func createWithParents(_ path: String) throws {
        do {
            guard try fileSystem.information(path) == nil else { return }
            let parent = parentDirectory(of: path)
            if parent != path { try createWithParents(parent) }
            try fileSystem.createDirectory(path)
            try fileSystem.syncDirectory(parent)
        } catch let error as FileError {
            throw LogError.file(error)
        }
    }

    /// Reads the identity, or gives a new directory one.
    ///
    /// - Parameters:
    ///   - membership: which member of a cluster it shall be; nil for one that stands alone.
    ///   - isEmpty: whether there is no topic yet: then it may become a member's.
    ///
    /// Throws ``EngineError/otherMember(directory:identity:wanted:)``.
    func identify(as membership: ClusterMembership?, isEmpty: Bool) throws {
        let file = joinPath(path, Self.identityName)
        if let bytes = try fileSystem.readWhole(file, byteCountMax: 1 << 20) {
            let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
            let version = lines.first { $0.hasPrefix("version=") }?.dropFirst("version=".count)
            guard version == "1" || version == "0" else {
                throw EngineError.unreadableFile(
                    path: file, reason: "it does not say version=1, as Kafka and Tally write it")
            }
            let found = readMembership()
            if found == membership { return }
            guard found == nil, isEmpty else {
                throw EngineError.otherMember(
                    directory: path, identity: found?.description ?? "an engine that stands alone",
                    wanted: membership?.description ?? "an engine that stands alone")
            }
        }
        try identify(
            nodeID: membership?.nodeID ?? 1,
            clusterID: membership?.clusterID ?? "\(TopicID.random())",
            isMember: membership != nil)
    }

    /// Gives a new directory an identity in a cluster.
    ///
    /// - Parameter isMember: whether its partitions are replicas of a cluster's of Tally.
    func identify(nodeID: Int32, clusterID: String, isMember: Bool = false) throws {
        let lines = [
            "#", "# Written by Tally.", "node.id=\(nodeID)", "directory.id=\(TopicID.random())",
            "version=1", "cluster.id=\(clusterID)",
        ]
        let mark = isMember ? [Self.memberMark] : []
        let text = (lines + mark + [""]).joined(separator: "\n")
        try fileSystem.replace(
            joinPath(path, Self.identityName), with: Array(text.utf8))
    }

    /// Which member of a cluster the directory is; nil for one that stands alone.
    private func readMembership() -> ClusterMembership? {
        guard
            let bytes = try? fileSystem.readWhole(
                joinPath(path, Self.identityName), byteCountMax: 1 << 20),
            String(decoding: bytes, as: UTF8.self).split(separator: "\n")
                .contains(Substring(Self.memberMark))
        else { return nil }
        let identity = readIdentity()
        return ClusterMembership(nodeID: identity.nodeID, clusterID: identity.clusterID)
    }

    /// The line of a directory whose partitions are replicas of a cluster's.
    private static let memberMark = "tally.replicated=true"

    /// The number and the cluster that ``identify(as:isEmpty:)`` found or gave.
    func readIdentity() -> (nodeID: Int32, clusterID: String) {
        let bytes = try? fileSystem.readWhole(
            joinPath(path, Self.identityName), byteCountMax: 1 << 20)
        let lines = String(decoding: (bytes ?? nil) ?? [], as: UTF8.self).split(separator: "\n")
        func value(_ name: String) -> String? {
            lines.first { $0.hasPrefix(name + "=") }.map { String($0.dropFirst(name.count + 1)) }
        }
        // Older files of Kafka's say broker.id.
        let number = (value("node.id") ?? value("broker.id")).flatMap { Int32($0) }
        return (number ?? 1, value("cluster.id") ?? "")
    }

    // MARK: Clean stops

    /// Whether the engine that had the directory last closed it in order.
    func wasClosedCleanly() throws -> Bool {
        try fileSystem.information(joinPath(path, Self.cleanShutdownName)) != nil
    }

    /// From now on, and after a crash at any moment, the directory counts as not closed.
    func markOpen() throws {
        try fileSystem.remove(joinPath(path, Self.cleanShutdownName))
        try fileSystem.syncDirectory(path)
    }

    /// Everything is on stable storage, and the checkpoints say where each log ends.
    func markClosed() throws {
        let mark = #"{"version":0,"brokerEpoch":-1}"#
        try fileSystem.replace(joinPath(path, Self.cleanShutdownName), with: Array(mark.utf8))
    }

    // MARK: Checkpoints

    /// What the checkpoint files say of every partition.
    func checkpoints() throws -> (recoveryPoints: [String: Offset], logStarts: [String: Offset]) {
        (
            try OffsetCheckpoint.read(.recoveryPoint, in: path, from: fileSystem),
            try OffsetCheckpoint.read(.logStart, in: path, from: fileSystem)
        )
    }

    /// What is known of the high watermarks. A replica that does not know its own learns it from
    /// its leader.
    func highWatermarks() -> [String: Offset] {
        (try? OffsetCheckpoint.read(.highWatermark, in: path, from: fileSystem)) ?? [:]
    }

    /// A partition's line in the checkpoint files.
    struct CheckpointLine {
        var topic: String
        var partition: Int32
        var recoveryPoint: Offset
        var highWatermark: Offset
        var logStart: Offset
        /// Where the last cleaning ended; nil where the topic is not compacted.
        var cleanedEnd: Offset?
    }

    /// Where the last cleaning of each compacted log ended. What cannot be read only costs a
    /// cleaning of more than is needed.
    ///
    /// Only what is on stable storage is cleaned, and the recovery points are written before this
    /// file: an end behind its recovery point is of another log, or damaged. Believed, it would
    /// keep old values whose tombstones go, and they would come back.
    func cleanedEnds() -> [String: Offset] {
        guard let cleaned = try? OffsetCheckpoint.read(.cleaner, in: path, from: fileSystem),
            let stored = try? OffsetCheckpoint.read(.recoveryPoint, in: path, from: fileSystem)
        else { return [:] }
        return cleaned.filter { $0.value <= stored[$0.key] ?? .zero }
    }

    /// Whether ``cleanedEnds()`` may say something, or cannot be read.
    private func hasCleanedEnds() throws(LogError) -> Bool {
        let file = joinPath(path, OffsetCheckpoint.Name.cleaner.rawValue)
        do {
            return try fileSystem.information(file) != nil
        } catch {
            throw .file(error)
        }
    }

    /// Replaces the checkpoint files.
    func write(_ lines: [CheckpointLine]) throws(LogError) {
        func write(
            _ name: OffsetCheckpoint.Name, _ offset: KeyPath<CheckpointLine, Offset>
        ) throws(LogError) {
            try OffsetCheckpoint.write(
                lines.map { ($0.topic, $0.partition, $0[keyPath: offset]) }, name, in: path,
                on: fileSystem)
        }
        try write(.recoveryPoint, \.recoveryPoint)
        try write(.highWatermark, \.highWatermark)
        try write(.logStart, \.logStart)
        let cleaned = lines.compactMap { line in
            line.cleanedEnd.map { (line.topic, line.partition, $0) }
        }
        // Kafka has the file once something was cleaned. A line that outlived the last compacted
        // topic would let a new one of its name pass for clean.
        let isThere = try hasCleanedEnds()
        if isThere || !cleaned.isEmpty {
            try OffsetCheckpoint.write(cleaned, .cleaner, in: path, on: fileSystem)
        }
    }

    // MARK: Partition directories

    private static let graveEnding = ".deleted"

    /// Renames the directory of a partition that is being deleted: from then on it is nobody's,
    /// and the next opening removes it if we do not come to it. Named by the topic's identity,
    /// since the longest topic names leave no room for an ending. Returns the new
    /// path; nil where somebody removed the directory before us.
    func bury(_ topic: String, _ partition: Int32, of id: TopicID) throws -> String? {
        let directory = partitionPath(topic, partition)
        guard try fileSystem.information(directory) != nil else { return nil }
        let grave = joinPath(path, "\(id)-\(partition)\(Self.graveEnding)")
        try fileSystem.rename(directory, to: grave)
        return grave
    }

    /// Removes a partition's directory and its files.
    func removePartition(_ path: String) throws {
        for file in try fileSystem.list(path) { try fileSystem.remove(joinPath(path, file)) }
        try fileSystem.removeDirectory(path)
    }

    /// Ends deletions that were interrupted. Returns partition directories that `isKnown` does
    /// not know; they are not touched.
    func sweep(isKnown: (_ topic: String, _ partition: Int32) -> Bool) throws -> [String] {
        var strangers: [String] = []
        for name in try fileSystem.list(path) {
            let isGrave = name.hasSuffix(Self.graveEnding)
            let partitionName = isGrave ? String(name.dropLast(Self.graveEnding.count)) : name
            let directory = joinPath(path, name)
            guard let found = TopicName.split(partitionName),
                try fileSystem.information(directory)?.isDirectory == true
            else { continue }
            if isGrave {
                // Only what `bury` makes: somebody's copy of a partition is not ours to remove.
                if TopicID(found.topic) != nil { try removePartition(directory) }
            } else if !isKnown(found.topic, found.partition) {
                strangers.append(name)
            }
        }
        return strangers.sorted()
    }

    /// The directory of a partition.
    func partitionPath(_ topic: String, _ partition: Int32) -> String {
        joinPath(path, "\(topic)-\(partition)")
    }
}
