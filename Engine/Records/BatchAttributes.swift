/// The 16 attribute bits of a batch, as stored.
///
/// ```
/// bit   15..7   6               5        4              3               2..0
///       unused  delete horizon  control  transactional  log-append time  codec
/// ```
@frozen
public struct BatchAttributes: RawRepresentable, Hashable, Sendable {
    /// The bits.
    public var rawValue: Int16

    /// Attributes from their bits; bits without a meaning are kept.
    @inlinable
    public init(rawValue: Int16) { self.rawValue = rawValue }

    /// Attributes from what they mean.
    @inlinable
    public init(
        codec: Codec = .none, timestampType: TimestampType = .createTime,
        isTransactional: Bool = false, isControl: Bool = false, hasDeleteHorizon: Bool = false
    ) {
        rawValue =
            Int16(codec.rawValue) | (timestampType == .logAppendTime ? Self.logAppendTimeBit : 0)
            | (isTransactional ? Self.transactionalBit : 0) | (isControl ? Self.controlBit : 0)
            | (hasDeleteHorizon ? Self.deleteHorizonBit : 0)
    }

    @usableFromInline static let codecMask: Int16 = 0x07
    @usableFromInline static let logAppendTimeBit: Int16 = 0x08
    @usableFromInline static let transactionalBit: Int16 = 0x10
    @usableFromInline static let controlBit: Int16 = 0x20
    @usableFromInline static let deleteHorizonBit: Int16 = 0x40
    static let knownBits: Int16 = 0x7f

    /// How the records are compressed; nil for the three codes that stand for nothing. A header
    /// with one of those does not decode.
    @inlinable
    public var knownCodec: Codec? {
        Codec(rawValue: UInt8(truncatingIfNeeded: rawValue & Self.codecMask))
    }

    /// How the records are compressed.
    @inlinable
    public var codec: Codec { knownCodec ?? .none }

    /// Who set the timestamps.
    @inlinable
    public var timestampType: TimestampType {
        rawValue & Self.logAppendTimeBit != 0 ? .logAppendTime : .createTime
    }

    /// Whether the batch belongs to a transaction.
    @inlinable
    public var isTransactional: Bool { rawValue & Self.transactionalBit != 0 }

    /// Whether the batch holds a control record, such as the end of a transaction, in place of
    /// an application's records.
    @inlinable
    public var isControl: Bool { rawValue & Self.controlBit != 0 }

    /// Whether the base timestamp's place holds the time after which compaction may drop the
    /// batch's tombstones and markers.
    @inlinable
    public var hasDeleteHorizon: Bool { rawValue & Self.deleteHorizonBit != 0 }
}
