public import TallyLog
public import TallyRecords

/// Limits on topics.
public enum TopicLimits {
    /// The longest topic name, in characters, as in Kafka.
    public static let nameLengthMax = 249
    /// The most partitions one topic may have.
    public static let partitionsMax = 10_000
}

/// The configuration of a topic, under Kafka's names.
///
/// Only what was set is stored; everything else follows the defaults. A value type.
public struct TopicConfiguration: Hashable, Sendable {
    /// What was set, by Kafka's name, in the form that was given.
    public private(set) var values: [String: String] = [:]

    /// The defaults.
    public init() {}

    /// A configuration from names and values.
    ///
    /// Throws ``EngineError/invalidConfiguration(name:value:reason:)`` for an unknown name (it
    /// names the valid ones) and for a value that cannot be used (it says what can).
    public init(_ values: [String: String]) throws {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) { try set(name, to: value) }
    }

    /// As ``init(_:)``, for what a directory holds: another build may have written it, so a codec
    /// that this one lacks is no error until somebody appends.
    package init(stored values: [String: String]) throws {
        var values = values
        let name = TopicSetting.compressionType.rawValue
        let codec = values[name].flatMap { Codec(name: $0) }
        let isKept = codec.map { !$0.isSupported } ?? false
        let kept = isKept ? values.removeValue(forKey: name) : nil
        try self.init(values)
        if let kept { self.values[name] = kept }
    }

    /// Sets one value; see ``init(_:)`` for what it throws.
    public mutating func set(_ name: String, to value: String) throws {
        guard let definition = TopicSetting(rawValue: name) else {
            let names = TopicSetting.allCases.map(\.rawValue).joined(separator: ", ")
            throw EngineError.invalidConfiguration(
                name: name, value: value, reason: "there is no such setting; valid are \(names)")
        }
        if let reason = definition.problem(with: value) {
            throw EngineError.invalidConfiguration(name: name, value: value, reason: reason)
        }
        values[name] = value
    }

    /// Lets one setting follow its default again.
    ///
    /// Throws ``EngineError/invalidConfiguration(name:value:reason:)`` for an unknown name.
    public mutating func reset(_ name: String) throws {
        guard let definition = TopicSetting(rawValue: name) else {
            return try set(name, to: "")
        }
        values[definition.rawValue] = nil
    }

    /// Whether the settings go together; each by itself is right. Throws
    /// ``EngineError/invalidConfiguration(name:value:reason:)``.
    package func checkTogether() throws(EngineError) {
        let least = value(of: .compactionLagMillisecondsMin)
        let most = value(of: .compactionLagMillisecondsMax)
        guard let low = Int64(least), let high = Int64(most), low > high else { return }
        throw .invalidConfiguration(
            name: TopicSetting.compactionLagMillisecondsMin.rawValue, value: least,
            reason: "max.compaction.lag.ms=\(most) is less; give at most that")
    }

    /// The value in force: what was set, else the default.
    public func value(of setting: TopicSetting) -> String {
        values[setting.rawValue] ?? setting.defaultValue
    }

    /// `retention.ms` in milliseconds; nil for no limit (-1).
    public var retentionMilliseconds: Int64? {
        let number = Int64(value(of: .retentionMilliseconds)) ?? -1
        return number < 0 ? nil : number
    }

    /// The codec that batches are stored with; nil where the producer chooses (`producer`).
    public var compression: Codec? {
        let name = value(of: .compressionType)
        return name == "uncompressed" ? Codec.none : Codec(name: name)
    }

    /// Whether `cleanup.policy` has `compact`: of each key the newest record stays.
    public var isCompacted: Bool {
        value(of: .cleanupPolicy).split(separator: ",").contains("compact")
    }

    /// `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`.
    var timestampLimits: TimestampLimits {
        var limits = TimestampLimits()
        limits.beforeMillisecondsMax = Int64(value(of: .timestampBeforeMillisecondsMax)) ?? .max
        limits.afterMillisecondsMax = Int64(value(of: .timestampAfterMillisecondsMax)) ?? .max
        return limits
    }

    /// `tally.source`: the cluster that the topic is copied from; nil for an ordinary one.
    public var source: String? {
        let source = value(of: .source)
        return source.isEmpty ? nil : source
    }

    /// `min.insync.replicas`: how many replicas must be in sync for `acks=all`. Of use in a
    /// cluster.
    public var inSyncReplicasMin: Int { Int(value(of: .inSyncReplicasMin)) ?? 1 }

    /// `unclean.leader.election.enable`: whether a replica that was not in sync may lead where no
    /// other is left, at the price of acknowledged records. Of use in a cluster.
    public var isUncleanElectionAllowed: Bool { value(of: .isUncleanElectionAllowed) == "true" }

    /// `tally.durability`; nil where the engine's default holds.
    public var durability: Durability? {
        values[TopicSetting.durability.rawValue].flatMap { Durability(text: $0) }
    }

    /// The part that concerns a partition's log.
    ///
    /// - Parameter isDiscovered: nobody has stated the configuration since `topics.json` was lost:
    ///   nothing may be retired by what are only defaults.
    func logConfiguration(
        _ engine: EngineConfiguration, isDiscovered: Bool = false
    ) -> LogConfiguration {
        var log = LogConfiguration()
        func number(_ setting: TopicSetting) -> Int64 {
            Int64(value(of: setting)) ?? Int64(setting.defaultValue) ?? 0
        }
        log.segmentBytesMax = Int(number(.segmentBytes))
        log.segmentMillisecondsMax = number(.segmentMilliseconds)
        log.segmentJitterMilliseconds = number(.segmentJitterMilliseconds)
        log.segmentIndexBytesMax = Int(number(.segmentIndexBytes))
        log.indexIntervalBytes = Int(number(.indexIntervalBytes))
        log.batchBytesMax = Int(number(.maxMessageBytes))
        log.compression = compression
        log.timestampType =
            value(of: .timestampType) == "LogAppendTime" ? .logAppendTime : .createTime
        log.durability = durability ?? engine.durability
        log.source = source
        log.isReplicated = engine.membership != nil
        log.producerExpirationMilliseconds = engine.producerExpirationMilliseconds
        log.isDeleting =
            !isDiscovered && value(of: .cleanupPolicy).split(separator: ",").contains("delete")
        log.isCompacting = !isDiscovered && isCompacted
        log.cleanableDirtyRatioMin = Double(value(of: .cleanableDirtyRatioMin)) ?? 0.5
        log.compactionLagMillisecondsMin = number(.compactionLagMillisecondsMin)
        log.compactionLagMillisecondsMax = number(.compactionLagMillisecondsMax)
        log.deleteRetentionMilliseconds = number(.deleteRetentionMilliseconds)
        log.timestampLimits = timestampLimits
        log.retentionMilliseconds = retentionMilliseconds
        let retentionBytes = number(.retentionBytes)
        log.retentionBytes = retentionBytes < 0 ? nil : Int(retentionBytes)
        log.fileDeleteDelayMilliseconds = number(.fileDeleteDelayMilliseconds)
        return log
    }
}

/// The settings a topic has, by Kafka's names.
public enum TopicSetting: String, CaseIterable, Sendable {
    case cleanupPolicy = "cleanup.policy"
    case compressionType = "compression.type"
    case deleteRetentionMilliseconds = "delete.retention.ms"
    case fileDeleteDelayMilliseconds = "file.delete.delay.ms"
    case indexIntervalBytes = "index.interval.bytes"
    case compactionLagMillisecondsMax = "max.compaction.lag.ms"
    case maxMessageBytes = "max.message.bytes"
    case timestampAfterMillisecondsMax = "message.timestamp.after.max.ms"
    case timestampBeforeMillisecondsMax = "message.timestamp.before.max.ms"
    case timestampType = "message.timestamp.type"
    case cleanableDirtyRatioMin = "min.cleanable.dirty.ratio"
    case compactionLagMillisecondsMin = "min.compaction.lag.ms"
    case inSyncReplicasMin = "min.insync.replicas"
    case retentionBytes = "retention.bytes"
    case retentionMilliseconds = "retention.ms"
    case segmentBytes = "segment.bytes"
    case segmentIndexBytes = "segment.index.bytes"
    case segmentJitterMilliseconds = "segment.jitter.ms"
    case segmentMilliseconds = "segment.ms"
    case durability = "tally.durability"
    case source = "tally.source"
    case isUncleanElectionAllowed = "unclean.leader.election.enable"

    /// The value where nothing is set: Kafka's default.
    public var defaultValue: String {
        switch self {
        case .cleanupPolicy: "delete"
        case .compressionType: "producer"
        case .deleteRetentionMilliseconds: "86400000"
        case .fileDeleteDelayMilliseconds: "60000"
        case .indexIntervalBytes: "4096"
        case .compactionLagMillisecondsMax: "9223372036854775807"
        case .maxMessageBytes: "1048588"
        case .timestampAfterMillisecondsMax: "3600000"
        case .timestampBeforeMillisecondsMax: "9223372036854775807"
        case .timestampType: "CreateTime"
        case .cleanableDirtyRatioMin: "0.5"
        case .compactionLagMillisecondsMin: "0"
        case .inSyncReplicasMin: "1"
        case .retentionBytes: "-1"
        case .retentionMilliseconds: "604800000"
        case .segmentBytes: "1073741824"
        case .segmentIndexBytes: "10485760"
        case .segmentJitterMilliseconds: "0"
        case .segmentMilliseconds: "604800000"
        case .durability: "synced"
        case .source: ""
        case .isUncleanElectionAllowed: "false"
        }
    }

    /// A few addresses with long names.
    private static let sourceBytesMax = 4096

    /// The numbers that are allowed, for settings that are numbers.
    private var range: ClosedRange<Int64>? {
        switch self {
        case .indexIntervalBytes: 0...Int64(Int32.max)
        case .maxMessageBytes: 100...(512 << 20)
        case .fileDeleteDelayMilliseconds: 0...Int64(Int32.max)
        case .deleteRetentionMilliseconds, .compactionLagMillisecondsMin,
            .timestampAfterMillisecondsMax, .timestampBeforeMillisecondsMax:
            0...Int64.max
        case .compactionLagMillisecondsMax: 1...Int64.max
        case .retentionBytes, .retentionMilliseconds: -1...Int64.max
        case .segmentBytes: 100...Int64(Int32.max)
        case .segmentIndexBytes: 24...(1 << 28)
        case .inSyncReplicasMin: 1...Int64(Int16.max)
        case .segmentJitterMilliseconds: 0...Int64.max
        case .segmentMilliseconds: 1...Int64.max
        case .cleanupPolicy, .compressionType, .timestampType, .durability, .source,
            .cleanableDirtyRatioMin, .isUncleanElectionAllowed:
            nil
        }
    }

    /// Why a value cannot be used; nil when it can.
    func problem(with value: String) -> String? {
        if let range {
            guard let number = Int64(value), range.contains(number) else {
                return "give a whole number from \(range.lowerBound) to \(range.upperBound)"
            }
            return nil
        }
        switch self {
        case .cleanupPolicy:
            let parts = value.split(separator: ",", omittingEmptySubsequences: false)
            let isValid = parts.allSatisfy { ["delete", "compact"].contains($0) }
            return isValid ? nil : "give delete, compact, or delete,compact"
        case .compressionType:
            let codec = Codec(name: value)
            if let codec, codec.isSupported { return nil }
            if ["producer", "uncompressed"].contains(value) { return nil }
            let advice = codec.map { $0.advice + ", or " } ?? ""
            return "\(advice)give producer, uncompressed\(Codec.listOfSupported)"
        case .cleanableDirtyRatioMin:
            let isValid = Double(value).map { (0...1).contains($0) } ?? false
            return isValid ? nil : "give a number from 0 to 1"
        case .timestampType:
            let isValid = ["CreateTime", "LogAppendTime"].contains(value)
            return isValid ? nil : "give CreateTime or LogAppendTime"
        case .isUncleanElectionAllowed:
            return Bool(value) == nil ? "give true or false" : nil
        case .source:
            return value.utf8.count <= Self.sourceBytesMax
                ? nil : "give at most \(Self.sourceBytesMax) bytes"
        default:
            return Durability(text: value) == nil
                ? "give synced, buffered, or interval:MILLISECONDS" : nil
        }
    }
}

extension Codec {
    /// The codecs of this build behind others in a list: " or lz4", ", lz4 or zstd".
    fileprivate static var listOfSupported: String {
        let names = allCases.filter { $0.isSupported && $0 != .none }.map(\.description)
        let others = names.dropLast().map { ", \($0)" }.joined()
        return "\(others) or \(names.last ?? "")"
    }
}

extension Durability {
    /// Reads `synced`, `buffered` or `interval:MILLISECONDS`; nil for anything else.
    public init?(text: String) {
        switch text {
        case "synced": self = .synced
        case "buffered": self = .buffered
        default:
            guard text.hasPrefix("interval:"), let number = Int64(text.dropFirst(9)),
                (1...86_400_000).contains(number)
            else { return nil }
            self = .interval(milliseconds: number)
        }
    }

    /// The text form, as `tally.durability` has it.
    public var text: String {
        switch self {
        case .synced: "synced"
        case .buffered: "buffered"
        case .interval(let milliseconds): "interval:\(milliseconds)"
        }
    }
}
