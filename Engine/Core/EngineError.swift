import Foundation
public import TallyGroups
import TallyLog
public import TallyRecords
public import TallyTransactions

/// What the engine refuses, and why. Errors of files and logs come as ``LogError``.
public enum EngineError: Error, Hashable, Sendable {
    /// Another process, or another engine of this one, has the directory open.
    case directoryInUse(directory: String, holder: String)
    /// No topic has this name.
    case unknownTopic(name: String, known: [String])
    /// The topic has no such partition.
    case unknownPartition(topic: String, partition: Int32, count: Int)
    /// The topic was deleted and created again since a consumer of it was made.
    case topicReplaced(name: String)
    /// A partition directory of the name holds records of a topic that the engine does not know.
    case recordsWithoutTopic(directory: String)
    /// A topic of this name exists already.
    case topicExists(name: String)
    /// The name cannot be a topic's.
    case invalidTopicName(name: String, reason: String)
    /// The topic is one in which coordinators record what they decide: it can be read, and nothing
    /// else.
    case internalTopic(name: String)
    /// A configuration name is unknown or its value cannot be used.
    case invalidConfiguration(name: String, value: String, reason: String)
    /// Nobody has said that the topic is compacted.
    case notCompacted(topic: String)
    /// The topic is an ordinary one, and no copy of another cluster's (`tally.source`).
    case notCopy(topic: String)
    /// A compacted topic keeps records by their keys: each needs one.
    case keyRequired(topic: String)
    /// A record's timestamp is too far from now.
    case timestampOutOfRange(topic: String, milliseconds: Int64, allowed: ClosedRange<Int64>)
    /// The number of partitions cannot be used.
    case invalidPartitionCount(Int)
    /// The topic has its configuration: only one that was found by its directories, without
    /// `topics.json`, can be given one.
    case configurationIsStated(topic: String)
    /// The topic was found by its directories and nobody has stated its configuration yet.
    case configurationIsNotStated(topic: String)
    /// A topic's partitions become more, never fewer.
    case partitionsCannotBeRemoved(topic: String, count: Int, requested: Int)
    /// A partition could not be opened and takes no requests; the others go on.
    case partitionOffline(partition: String, reason: String)
    /// A record is larger than a batch may be.
    case recordTooLarge(byteCount: Int, limit: Int, setting: String)
    /// The producer's buffer is full: wait for room, and try again.
    case producerBufferFull(byteCount: Int, limit: Int)
    /// The producer's buffer was full for all of `max.block.ms`; nothing was taken.
    case bufferTimeout(byteCount: Int, limit: Int, milliseconds: Int64)
    /// A record was not sent within `delivery.timeout.ms`. Where it was being written by then, it
    /// may be stored: sending it again may store it twice.
    case deliveryTimeout(partition: String, milliseconds: Int64, mayBeStored: Bool)
    /// The group refuses, or cannot answer.
    case group(GroupError)
    /// The transaction coordinator refuses, or cannot answer.
    case transaction(TransactionError)
    /// The producer cannot do this now.
    case invalidProducerState(reason: String)
    /// A group has no position in a partition that can be read, and its members do not say where
    /// to go on (`auto.offset.reset`).
    case offsetUnavailable(UnavailableOffset)
    /// The group has given the partition to another member, or to none yet; without a group, the
    /// consumer was not told to read it.
    case notAssigned(partition: String, group: String?)
    /// A producer or consumer was given settings that make no sense.
    case invalidSetting(name: String, reason: String)
    /// The producer has no transaction open in the partition, or has written with another epoch.
    case noOpenTransaction(
        partition: String, producerID: Int64, producerEpoch: Int16?, open: [OpenTransaction])
    /// A file of the data directory cannot be understood.
    case unreadableFile(path: String, reason: String)
    /// The engine was closed.
    case closed
}

/// Why a group cannot go on in a partition by itself.
public struct UnavailableOffset: Error, Hashable, Sendable {
    /// Topic and partition as the directory is named.
    public var partition: String
    /// The group.
    public var group: String
    /// What the group has committed, or where it was; nil where it never committed.
    public var committed: Offset?
    /// The first offset that can be read.
    public var logStart: Offset
    /// The offset behind the last record that can be read.
    public var logEnd: Offset
}

extension EngineError: CustomStringConvertible {
    /// What is wrong and what to do about it, in words for a person.
    public var description: String {
        switch self {
        case .directoryInUse(let directory, let holder):
            holder == "\(ProcessInfo.processInfo.processIdentifier)"
                ? """
                \(directory) is in use by another engine of this process (\(holder)). Share \
                that one, or close it first.
                """
                : """
                \(directory) is in use by the process with id \(holder). Stop it, or choose \
                another directory. Commands that only read work without stopping it.
                """
        case .unknownTopic(let name, let known):
            known.isEmpty
                ? "There is no topic \"\(name)\": this data directory has no topics yet."
                : "There is no topic \"\(name)\". Topics are: \(known.joined(separator: ", "))."
        case .unknownPartition(let topic, let partition, let count):
            "Topic \"\(topic)\" has partitions 0 to \(count - 1); there is no \(partition)."
        case .topicReplaced(let name):
            """
            Topic "\(name)" was deleted and created again: positions in the old one mean nothing \
            in the new one. Make a new consumer.
            """
        case .recordsWithoutTopic(let directory):
            """
            \(directory) holds records of a topic that \(TopicCatalog.fileName) does not know, \
            perhaps from a deletion that was interrupted. Move it away or remove it, then create \
            the topic.
            """
        case .topicExists(let name):
            "Topic \"\(name)\" exists already. Delete it first, or choose another name."
        case .invalidTopicName(let name, let reason):
            "\"\(name)\" cannot be the name of a topic: \(reason)."
        case .internalTopic(let name):
            "Topic \"\(name)\" is where coordinators record what they decide. It can only be read."
        case .invalidConfiguration(let name, let value, let reason):
            "\(name)=\(value) cannot be used: \(reason)."
        case .notCopy(let topic):
            """
            Topic "\(topic)" is no copy of another cluster's topic: it has no tally.source.
            """
        case .notCompacted(let topic):
            """
            Topic "\(topic)" is not compacted: its cleanup.policy does not say compact. Nothing \
            was cleaned.
            """
        case .keyRequired(let topic):
            """
            A record without a key cannot go to topic "\(topic)", which is compacted: of each \
            key it keeps the newest record. Give the record a key.
            """
        case .timestampOutOfRange(let topic, let milliseconds, let allowed):
            """
            A record with timestamp \(milliseconds) cannot go to topic "\(topic)" now, which \
            takes \(allowed.lowerBound) to \(allowed.upperBound). Mend the timestamp; the \
            limits are the topic's message.timestamp.before.max.ms and \
            message.timestamp.after.max.ms.
            """
        case .invalidPartitionCount(let count):
            "\(count) is no number of partitions; give 1 to \(TopicLimits.partitionsMax)."
        case .configurationIsStated(let topic):
            """
            Topic "\(topic)" has its configuration. Only a topic that was found again after \
            \(TopicCatalog.fileName) was lost can be given one as a whole; single settings are \
            changed with `tally topics alter` or `Engine.alterTopic`.
            """
        case .configurationIsNotStated(let topic):
            """
            Topic "\(topic)" was found without \(TopicCatalog.fileName), and its configuration \
            is not known: state it as a whole first, with `tally topics configure`.
            """
        case .partitionsCannotBeRemoved(let topic, let count, let requested):
            """
            Topic "\(topic)" has \(count) partitions and cannot have \(requested): partitions \
            become more, never fewer, since the records in them would be lost. Create another \
            topic and copy the records.
            """
        case .partitionOffline(let partition, let reason):
            "\(partition) is offline: \(reason)"
        case .recordTooLarge(let byteCount, let limit, let setting):
            """
            A record of \(byteCount) bytes does not fit a batch: \(setting) = \(limit). \
            Send smaller records or raise \(setting).
            """
        case .producerBufferFull(let byteCount, let limit):
            """
            The producer holds \(byteCount) bytes that are not delivered yet, and buffer.memory \
            is \(limit). Wait with `waitForRoom()`, then try again.
            """
        case .bufferTimeout(let byteCount, let limit, let milliseconds):
            """
            The producer's buffer had no room for a record within max.block.ms, \(milliseconds): \
            \(byteCount) bytes are not delivered, or their delivery reports not taken, and \
            buffer.memory is \(limit). The record was not taken and can be sent again. Send less \
            at a time, take the reports, or raise buffer.memory or max.block.ms.
            """
        case .deliveryTimeout(let partition, let milliseconds, let mayBeStored):
            """
            A record for \(partition) was not sent within delivery.timeout.ms, \(milliseconds): \
            the disk does not keep up, or hangs. \
            \(mayBeStored ? "It was being written and may be stored." : "It was not stored.")
            """
        case .group(let error): "\(error)"
        case .transaction(let error): "\(error)"
        case .invalidProducerState(let reason): "The producer cannot do this now: \(reason)."
        case .offsetUnavailable(let offset):
            """
            Group "\(offset.group)" \
            \(offset.committed.map { "stands at offset \($0)" } ?? "has committed nothing") in \
            \(offset.partition), which holds \(offset.logStart) to \(offset.logEnd) \
            (exclusive). Choose: set auto.offset.reset to earliest, latest, nearest or a \
            duration, seek, or commit an offset in that range before the group begins again.
            """
        case .notAssigned(let partition, let group):
            if let group {
                "\(partition) is not assigned to this member of group \"\(group)\"."
            } else {
                "This consumer does not read \(partition). Assign it first."
            }
        case .invalidSetting(let name, let reason): "\(name) cannot be used: \(reason)."
        case .noOpenTransaction(let partition, let producerID, let producerEpoch, let open):
            "\(partition) has no open transaction of producer \(producerID)"
                + (producerEpoch.map { " with epoch \($0)" } ?? "") + ". "
                + Self.description(of: open)
        case .unreadableFile(let path, let reason):
            "\(path) cannot be understood: \(reason). Restore it from a copy."
        case .closed:
            "The engine is closed."
        }
    }

    /// What is open, as far as it can be said in a line or two.
    private static func description(of open: [OpenTransaction]) -> String {
        guard !open.isEmpty else { return "No transaction is open there." }
        let shown = open.prefix(10).map { transaction in
            """
            producer \(transaction.producerID) with epoch \(transaction.producerEpoch), \
            from offset \(transaction.firstOffset) on
            """
        }
        let more = open.count > shown.count ? "; and \(open.count - shown.count) more" : ""
        return "Open are: \(shown.joined(separator: "; "))\(more)."
    }
}
