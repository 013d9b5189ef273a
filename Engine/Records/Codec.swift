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

    /// The codec of a name, as `compression.type` spells it; nil for any other text.
    public init?(name: String) {
        guard let codec = Self.allCases.first(where: { $0.description == name }) else { return nil }
        self = codec
    }

    /// The package trait that a build needs for the codec; nil for those that every build has.
    public var trait: String? {
        switch self {
        case .none, .lz4: nil
        case .gzip: "Gzip"
        case .snappy: "Snappy"
        case .zstd: "Zstd"
        }
    }

    /// Whether this build reads and writes records in this codec. Batches of the others can be
    /// stored, copied and described, but not unpacked.
    @inlinable
    public var isSupported: Bool {
        switch self {
        case .none, .lz4: return true
        case .gzip:
            #if Gzip
                return true
            #else
                return false
            #endif
        case .snappy:
            #if Snappy
                return true
            #else
                return false
            #endif
        case .zstd:
            #if Zstd
                return true
            #else
                return false
            #endif
        }
    }

    /// What to say to somebody who wants a codec that this build lacks.
    package var advice: String {
        let remedy = trait.map { "; build with the package trait \($0)" }
        return "codec not supported: \(self)" + (remedy ?? "")
    }
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
