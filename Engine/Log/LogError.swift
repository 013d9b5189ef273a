public import TallyFiles
public import TallyRecords

/// What a partition's log can refuse or find: operating errors, corruption, and requests outside
/// the log. Programmer errors are not here; they are invariants and stop the process.
public enum LogError: Error, Sendable {
    /// The offset asked for lies before the log start or behind the log end.
    case offsetOutOfRange(OffsetOutOfRange)
    /// Bytes that were once written whole are not what they were.
    case corruption(Corruption)
    /// A batch handed to `append` is not a sound batch; nothing was written.
    case invalidBatch(RecordError)
    /// A batch is larger than `max.message.bytes` or `segment.bytes`; nothing was written.
    case batchTooLarge(byteCount: Int, limit: Int, setting: String)
    /// A batch of an idempotent or transactional producer may not be appended; nothing was
    /// written.
    case producer(ProducerRefusal)
    /// The log is a copy of another one: it takes what that has, and no appends of its own.
    case follows(partition: String, source: String)
    /// The log is a replica, and its leader, if there is one, is elsewhere; nothing was written.
    case notLeader(partition: String)
    /// The log leads, and takes nothing that others have.
    case leads(partition: String)
    /// Fewer replicas are in sync than `min.insync.replicas`; nothing was written.
    case notEnoughReplicas(partition: String, inSync: Int, min: Int)
    /// The record was written, and fewer replicas than `min.insync.replicas` have it.
    case notEnoughReplicasAfterAppend(partition: String, inSync: Int, min: Int)
    /// The record was written, and replicas did not have it in time; they may have it later.
    case notEnoughInTime(partition: String, milliseconds: Int64)
    /// The replicas of a partition are kept elsewhere, and none is here.
    case notKept(partition: String)
    /// Batches of another log do not go on where this one ends; nothing was written.
    case divergence(Divergence)
    /// A system call failed. Where it is "no space", that append alone failed.
    case file(FileError)
    /// The partition takes no appends after an I/O error until it is reopened and rescanned.
    case stopped(partition: String, reason: String)
    /// A log cannot be cleaned: what it holds cannot be read, or does not fit together. Nothing
    /// of it was changed.
    case notCleanable(partition: String, reason: String)
    /// What was waited for was taken back: the log ends before it.
    case truncated(partition: String, logEnd: Offset)
    /// The log was closed.
    case closed(partition: String)
}

/// An offset that a log does not hold (any more, or yet), with the bounds it does hold.
public struct OffsetOutOfRange: Error, Hashable, Sendable {
    /// Topic and partition as the directory is named: `inventory-events-3`.
    public var partition: String
    /// The offset that was asked for.
    public var requested: Offset
    /// The first offset that can be read.
    public var logStart: Offset
    /// The offset the next record will get.
    public var logEnd: Offset
}

/// Damage found in a file: where it is, and how it shows.
public struct Corruption: Error, Hashable, Sendable {
    /// The damaged file.
    public var file: String
    /// Where in the file the damage was met.
    public var position: FilePosition
    /// What is wrong there.
    public var reason: String

    /// Damage at a place in a file.
    package init(file: String, position: FilePosition, reason: String) {
        self.file = file
        self.position = position
        self.reason = reason
    }
}

extension LogError: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        switch self {
        case .offsetOutOfRange(let range): range.description
        case .corruption(let corruption): corruption.description
        case .invalidBatch(let error):
            "The batch was refused and nothing was written: \(error)."
        case .batchTooLarge(let byteCount, let limit, let setting):
            """
            A batch of \(byteCount) bytes exceeds \(setting) = \(limit); nothing was written. \
            Send smaller batches or raise \(setting).
            """
        case .producer(let refusal): refusal.description
        case .follows(let partition, let source):
            """
            \(partition) is a copy of what \(source) has, and takes no records of its own; \
            nothing was written. Write to \(source), or make the topic an ordinary one with \
            `tally promote`.
            """
        case .notLeader(let partition):
            "\(partition) is not led here. Ask for its leader, and send it there."
        case .leads(let partition):
            "\(partition) is led here, and takes nothing from another replica."
        case .notEnoughReplicas(let partition, let inSync, let min):
            """
            \(inSync) replicas of \(partition) are in sync, and min.insync.replicas is \(min); \
            nothing was written. Try again when more are.
            """
        case .notEnoughReplicasAfterAppend(let partition, let inSync, let min):
            """
            The record was written to \(partition), but \(inSync) replicas are in sync, and \
            min.insync.replicas is \(min). Sending it again may store it twice, unless the \
            producer is idempotent.
            """
        case .notEnoughInTime(let partition, let milliseconds):
            """
            The record was written to \(partition), and after \(milliseconds) ms not all replicas \
            in sync have it. They may have it later: sending it again may store it twice, unless \
            the producer is idempotent.
            """
        case .notKept(let partition): "No replica of \(partition) is kept here."
        case .divergence(let divergence): divergence.description
        case .file(let error): error.description
        case .stopped(let partition, let reason):
            """
            \(partition) takes no appends since an I/O error, because what the disk holds is \
            uncertain: \(reason). Mend the disk, then open the engine again: it rescans the log.
            """
        case .notCleanable(let partition, let reason):
            "\(partition) cannot be cleaned, and was left as it is: \(reason)."
        case .truncated(let partition, let logEnd):
            "\(partition) was truncated to offset \(logEnd): the records behind it are gone."
        case .closed(let partition): "\(partition) is closed."
        }
    }
}

extension OffsetOutOfRange {
    /// What somebody else's log tells.
    package init(of partition: String, requested: Offset, logStart: Offset, logEnd: Offset) {
        self.init(
            partition: partition, requested: requested, logStart: logStart, logEnd: logEnd)
    }
}

extension OffsetOutOfRange: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        """
        \(partition) holds offsets \(logStart) to \(logEnd) (exclusive); \(requested) is \
        outside. Seek to an offset in that range.
        """
    }
}

extension Corruption: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        """
        \(file) is damaged at byte \(position): \(reason). Nothing was changed. Restore the \
        file from a copy, or see what can be done about it with \
        `tally repair --dry-run \(parentDirectory(of: file).shellQuoted)`.
        """
    }
}
