import Tally
import TallyFiles
import TallyLog
import TallyStateStore

/// The consumer groups of a data directory, read beside whoever has it open: without the lock, and
/// without changing anything. A value; blocks.
struct GroupsReader {
    /// All groups that are stored, by name.
    let groups: [StoredGroup]
    /// All topics, with log ends as the files show them.
    let topics: [TopicDescription]
    /// Whether somebody seems to have the directory open: a crash leaves that behind, too.
    private let isInUse: Bool
    /// What the application says that has it open.
    private let notes: GroupNotes?

    /// Reads a data directory. One without `state.db` has no groups.
    ///
    /// Throws ``StateStoreError``, ``OffsetStoreError``, ``LogError`` and ``EngineError``.
    init(directory: String) throws {
        let reader = try DirectoryReader(path: directory)
        let topics = try reader.topics()
        self.topics = topics
        notes = reader.groupNotes()
        // Who opens a directory writes its id into this file, and empties it when it closes.
        let lock = try PosixFileSystem().readWhole(
            joinPath(directory, ".lock"), byteCountMax: 1 << 10)
        isInUse = lock.map { !$0.isEmpty } ?? false
        groups = try Self.load(directory, topics)
    }

    private static func load(
        _ directory: String, _ topics: [TopicDescription]
    ) throws -> [StoredGroup] {
        let state: SQLiteState
        do {
            state = try SQLiteState.read(inDataDirectory: directory)
        } catch {
            guard case .noProjectionYet = error else { throw error }
            return []
        }
        let identities = Dictionary(
            topics.map { ($0.name, $0.id) }, uniquingKeysWith: { first, _ in first })
        state.identifyTopics { identities[$0] }
        defer { try? state.close() }
        return try state.offsets.loadGroups().sorted { $0.group < $1.group }
    }

    /// One group. Throws ``EngineError/group(_:)`` with `groupIDNotFound`.
    func group(_ name: String) throws -> StoredGroup {
        guard let group = groups.first(where: { $0.group == name }) else {
            throw EngineError.group(.groupIDNotFound(name))
        }
        return group
    }

    /// How far a group is behind.
    func lags(of group: StoredGroup) -> [PartitionLag] {
        PartitionLag.lags(
            committed: group.offsets, topics: topics, members: members(of: group)?.owners ?? [:])
    }

    /// The members of a group, as the application says that has the directory open; nil where
    /// nobody can tell: the group may have gone on since.
    func members(of group: StoredGroup) -> GroupNotes.Group? {
        guard mayHaveMembers(group), let members = notes?.groups[group.group],
            members.generation == group.metadata.generation
        else { return nil }
        return members
    }

    private func mayHaveMembers(_ group: StoredGroup) -> Bool {
        isInUse && group.metadata.protocolType != nil && group.metadata.emptySince == nil
    }

    /// A group, and how far it is behind in a partition.
    struct LargestLag {
        var group: String
        var lag: Int64
    }

    /// Which group is farthest behind in each partition of a topic, of those that have committed
    /// something there.
    func largestLags(in topic: String) -> [Int32: LargestLag] {
        var largest: [Int32: LargestLag] = [:]
        for group in groups {
            for found in lags(of: group) where found.partition.topic == topic {
                guard let lag = found.lag, lag > largest[found.partition.partition]?.lag ?? -1
                else { continue }
                largest[found.partition.partition] = LargestLag(group: group.group, lag: lag)
            }
        }
        return largest
    }

    /// `Empty` where the group has no members, for certain; what the application says that has the
    /// directory open; `Unknown` where it has not said anything of this generation.
    func state(of group: StoredGroup) -> String {
        guard mayHaveMembers(group) else { return GroupState.empty.rawValue }
        return members(of: group)?.state ?? "Unknown"
    }
}

extension [PartitionLag] {
    /// The lags together, of the partitions that have one.
    var total: Int64 {
        reduce(0) { sum, next in
            let (total, overflow) = sum.addingReportingOverflow(next.lag ?? 0)
            return overflow ? .max : total
        }
    }
}
