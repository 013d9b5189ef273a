/// How the records of a batch are compressed: the low three bits of a batch's attributes.
@frozen
public enum Codec: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case none = 0
    case gzip = 1
    case snappy = 2
    case lz4 = 3
    case zstd = 4

    /// Kafka's name for the codec, as `compression.type` spells it.
    public var description: String {
        switch self {
        case .none: "none"
        case .gzip: "gzip"
        case .snappy: "snappy"
        case .lz4: "lz4"
        case .zstd: "zstd"
        }
    }

    /// Whether this build reads and writes records in this codec. Batches of the others can be
    /// stored, copied and described, but not unpacked.
    @inlinable
    public var isSupported: Bool { self == .none || self == .lz4 }
}

/// Who set the timestamps of a batch's records.
@frozen
public enum TimestampType: Hashable, Sendable, CustomStringConvertible {
    /// The producer; each record has its own.
    case createTime
    /// The log, at the append; all records of a batch have the same.
    case logAppendTime

    /// Kafka's name for it.
    public var description: String {
        switch self {
        case .createTime: "CreateTime"
        case .logAppendTime: "LogAppendTime"
        }
    }
}
