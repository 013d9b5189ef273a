import CChecksum

/// The checksum of record batches.
package enum Checksum {
    /// CRC-32C (Castagnoli) of `bytes`, by the fastest means this processor has.
    ///
    /// - Parameter previous: the result for the bytes before these; 0 to begin.
    package static func crc32c(_ bytes: RawSpan, continuing previous: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { buffer in
            unsafe tally_crc32c(previous, buffer.baseAddress, buffer.count)
        }
    }

    /// The ways to compute it, which all give the same; for tests and measurements.
    package enum Variant: CaseIterable, Sendable {
        case table
        case serial
        case interleaved

        /// Whether this processor can run it.
        package var isAvailable: Bool { tally_crc32c_is_available(code) }

        fileprivate var code: tally_crc32c_variant {
            switch self {
            case .table: TALLY_CRC32C_TABLE
            case .serial: TALLY_CRC32C_SERIAL
            case .interleaved: TALLY_CRC32C_INTERLEAVED
            }
        }
    }

    /// As `crc32c(_:continuing:)`, by one variant, which must be available.
    package static func crc32c(
        _ bytes: RawSpan, continuing previous: UInt32 = 0, by variant: Variant
    ) -> UInt32 {
        unsafe bytes.withUnsafeBytes { buffer in
            unsafe tally_crc32c_by(variant.code, previous, buffer.baseAddress, buffer.count)
        }
    }
}
