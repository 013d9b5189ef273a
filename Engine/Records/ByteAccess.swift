// Big-endian integers in spans. All of it is bounds-checked: a position outside the span is a
// programmer error and traps, so decoders check sizes before they come here.

extension RawSpan {
    /// The big-endian integer at `position`, which need not be aligned.
    @inlinable @inline(__always)
    package func bigEndian<Integer: FixedWidthInteger & BitwiseCopyable>(
        at position: Int, as type: Integer.Type
    ) -> Integer {
        Integer(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: position, as: type))
    }

    /// The part that begins at `position` and has `count` bytes; traps outside the span.
    @inlinable @inline(__always)
    @_lifetime(copy self)
    package func part(at position: Int, count: Int) -> RawSpan {
        extracting(position..<position + count)
    }
}

extension MutableRawSpan {
    /// Stores `value` big-endian at `position`, which need not be aligned.
    @inlinable @inline(__always)
    @_lifetime(self: copy self)
    package mutating func store<Integer: FixedWidthInteger & BitwiseCopyable>(
        bigEndian value: Integer, at position: Int
    ) {
        storeBytes(of: value.bigEndian, toByteOffset: position, as: Integer.self)
    }
}

extension RawSpan {
    /// Whether every byte is zero: what a hole that was never written reads as.
    package var isAllZero: Bool {
        var position = 0
        while position + 8 <= byteCount {
            if bigEndian(at: position, as: UInt64.self) != 0 { return false }
            position += 8
        }
        while position < byteCount {
            if bigEndian(at: position, as: UInt8.self) != 0 { return false }
            position += 1
        }
        return true
    }
}

extension Array where Element == UInt8 {
    /// Calls `body` with the bytes as a raw span that can be written to.
    package mutating func withMutableRawSpan<Result, Failure: Error>(
        _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var span = mutableSpan
        var bytes = unsafe span.mutableBytes
        return try body(&bytes)
    }

    /// Appends a copy of bytes.
    package mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { bytes in unsafe append(contentsOf: bytes) }
    }

    /// Appends an integer in big-endian order.
    package mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// The bytes as a raw span, for decoders.
    @inlinable
    package var rawSpan: RawSpan {
        @_lifetime(borrow self) get { unsafe span.bytes }
    }
}

extension ArraySlice<UInt8> {
    /// The bytes as a raw span, for decoders.
    @inlinable
    package var rawSpan: RawSpan {
        @_lifetime(borrow self) get { unsafe span.bytes }
    }
}
