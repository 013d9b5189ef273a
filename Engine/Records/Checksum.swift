import CChecksum

/// The checksum of record batches.
package enum Checksum {
    /// CRC-32C (Castagnoli) of `bytes`, by the processor's own instruction where it has one.
    ///
    /// - Parameter previous: the result for the bytes before these; 0 to begin.
    package static func crc32c(_ bytes: RawSpan, continuing previous: UInt32 = 0) -> UInt32 {
        unsafe bytes.withUnsafeBytes { buffer in
            unsafe tally_crc32c(previous, buffer.baseAddress, buffer.count)
        }
    }
}
