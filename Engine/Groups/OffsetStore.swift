public import TallyRecords

/// Where groups keep what has to survive a restart: generations, committed offsets, and offsets
/// that wait for the end of a transaction.
///
/// The coordinator holds all groups in memory, reads a store once and from then on writes to it
/// alone; it answers a request only when ``apply(_:)`` has returned. Calls come from one thread at
/// a time, and may block. ``InMemoryOffsetStore`` is the reference for what each change does.
public protocol OffsetStore: AnyObject, Sendable {
    /// All groups, in any order. Called once, before any change.
    func loadGroups() throws(OffsetStoreError) -> [StoredGroup]

    /// Makes all changes, in this order, or none of them. They are on stable storage when this
    /// returns. Where it throws, the store is as it was before.
    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError)

    /// Whether it keeps the members of a group too, and wants to be told of each offset that goes
    /// with its group (`deleteOffsets` before `deleteGroup`): as a log of changes has to be.
    var keepsMembers: Bool { get }

    /// Makes these the groups for whose ids `belongs` is true, in one step: those of before go.
    func replaceGroups(
        where belongs: (String) -> Bool, with groups: [StoredGroup]
    ) throws(OffsetStoreError)
}

extension OffsetStore {
    /// Most do not.
    public var keepsMembers: Bool { false }

    /// By reading all groups, and making the changes that follow.
    public func replaceGroups(
        where belongs: (String) -> Bool, with groups: [StoredGroup]
    ) throws(OffsetStoreError) {
        var changes: [OffsetStoreChange] = []
        for stored in try loadGroups() where belongs(stored.group) {
            changes.append(.deleteGroup(group: stored.group))
        }
        for group in groups { changes += group.changes }
        if !changes.isEmpty { try apply(changes) }
    }
}

extension StoredGroup {
    /// What makes the group in a store that does not have it.
    package var changes: [OffsetStoreChange] {
        var changes = [OffsetStoreChange.metadata(group: group, metadata)]
        if !offsets.isEmpty { changes.append(.offsets(group: group, offsets)) }
        for pending in pendingOffsets {
            changes.append(
                .pendingOffsets(
                    group: group, producerID: pending.producerID,
                    producerEpoch: pending.producerEpoch, pending.offsets))
        }
        return changes
    }
}

/// One change of what an ``OffsetStore`` keeps. Each makes the group where there is none yet, but
/// for those that delete, which find nothing to do then.
public enum OffsetStoreChange: Hashable, Sendable {
    /// The group's metadata takes the place of what was there; its offsets stay.
    case metadata(group: String, StoredGroupMetadata)
    /// Each offset takes the place of what was there for its partition; other partitions stay.
    case offsets(group: String, [TopicPartition: CommittedOffset])
    /// Offsets that become visible only when the producer's transaction commits. Each takes the
    /// place of what the same producer had pending for its partition in this group.
    case pendingOffsets(
        group: String, producerID: Int64, producerEpoch: Int16, [TopicPartition: CommittedOffset])
    /// All that the producer has pending in the group goes. Where its transaction committed, a
    /// change `offsets` in the same call holds what has become visible.
    case removePendingOffsets(group: String, producerID: Int64)
    /// The committed offsets of these partitions go; pending ones stay.
    case deleteOffsets(group: String, Set<TopicPartition>)
    /// All that is known of the group goes, pending offsets too.
    case deleteGroup(group: String)
}

/// How far a group has read a partition.
public struct CommittedOffset: Hashable, Sendable {
    /// The next offset to be read; 0 or more.
    public var offset: Offset
    /// The leader epoch of the last record that was read, or `.none`: by it, a reader notices that
    /// the log was cut and written anew behind the offset.
    public var leaderEpoch: LeaderEpoch
    /// What the committer noted beside it; at most `offset.metadata.max.bytes` bytes of UTF-8.
    public var metadata: String
    /// When it was committed, by the wall clock.
    public var commitTimestamp: Timestamp
    /// Rises from commit to commit of an engine. Of two commits for one partition, one of them in
    /// a transaction, the later counts, whenever the transaction ends. Set by the coordinator.
    public var sequence: Int64

    /// A committed offset.
    public init(
        offset: Offset, leaderEpoch: LeaderEpoch = .none, metadata: String = "",
        commitTimestamp: Timestamp, sequence: Int64 = 0
    ) {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
        self.commitTimestamp = commitTimestamp
        self.sequence = sequence
    }
}

/// What is stored of a group beside its offsets.
public struct StoredGroupMetadata: Hashable, Sendable {
    /// The generation of its last rebalance; 0 before the first.
    public var generation: Int32
    /// `consumer`, or what else its members said; nil for a simple group, which never had members.
    public var protocolType: String?
    /// When its last member left, by the wall clock: from then on offsets age. Nil while it has
    /// members, and for a simple group, whose offsets age from their own commits.
    public var emptySince: Timestamp?
    /// The protocol that the members have chosen; nil without members. Like those, kept by stores
    /// alone whose ``OffsetStore/keepsMembers`` is true.
    public var protocolName: String?
    /// The member that leads; nil without members.
    public var leaderID: String?
    /// The members of the generation, once they were told what to read: whoever takes the group
    /// over goes on with them.
    public var members: [StoredMember] = []

    /// Metadata of a group.
    public init(
        generation: Int32 = 0, protocolType: String? = nil, emptySince: Timestamp? = nil
    ) {
        self.generation = generation
        self.protocolType = protocolType
        self.emptySince = emptySince
    }
}

/// All that is stored of a group.
public struct StoredGroup: Hashable, Sendable {
    /// The group's id.
    public var group: String
    /// Generation, protocol type, when it became empty.
    public var metadata: StoredGroupMetadata
    /// The offsets that readers see.
    public var offsets: [TopicPartition: CommittedOffset]
    /// The offsets of unfinished transactions.
    public var pendingOffsets: [PendingOffsets]

    /// What is stored of a group; of a new one only its id.
    public init(
        group: String, metadata: StoredGroupMetadata = StoredGroupMetadata(),
        offsets: [TopicPartition: CommittedOffset] = [:], pendingOffsets: [PendingOffsets] = []
    ) {
        self.group = group
        self.metadata = metadata
        self.offsets = offsets
        self.pendingOffsets = pendingOffsets
    }
}

/// Offsets of one producer's unfinished transaction in one group.
public struct PendingOffsets: Hashable, Sendable {
    /// Whose transaction it is.
    public var producerID: Int64
    /// The epoch of the producer when it last added to them.
    public var producerEpoch: Int16
    /// What becomes visible when the transaction commits.
    public var offsets: [TopicPartition: CommittedOffset]

    /// Offsets of one transaction.
    public init(
        producerID: Int64, producerEpoch: Int16, offsets: [TopicPartition: CommittedOffset]
    ) {
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.offsets = offsets
    }
}

/// A store that could not be read or written: the disk, a lock, damage. Nothing was changed.
public struct OffsetStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, where, and what to do about it.
    public var reason: String
    /// Whether what is stored cannot be understood, and trying again is of no use.
    public var isCorruption: Bool
    /// What to tell whoever asked, where that is something else than that the store failed.
    package var refusal: GroupError?

    /// An error with its reason.
    public init(reason: String, isCorruption: Bool = false) {
        self.reason = reason
        self.isCorruption = isCorruption
    }

    /// What whoever asked for the change is told.
    var groupError: GroupError { refusal ?? .coordinatorNotAvailable(reason: reason) }

    /// The reason.
    public var description: String { reason }
}
