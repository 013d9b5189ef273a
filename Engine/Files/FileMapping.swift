/// The first bytes of a file in memory, read-only. Unmapped when the last reference goes away.
///
/// The file may be shorter than the mapping: what lies beyond its end must not be touched, since
/// the kernel answers that with SIGBUS. `populate` tells beforehand, as an error. Any thread.
@safe
package final class FileMapping: @unchecked Sendable {
    /// How many bytes are mapped; the file may have fewer or more.
    package let byteCount: Int
    /// The first mapped byte; valid as long as `region` lives.
    @usableFromInline let start: UnsafeRawPointer
    /// Keeps the memory mapped.
    private let region: any MappedRegion

    /// A view of memory that `region` keeps readable.
    ///
    /// - Parameters:
    ///   - start: The first byte; not to be written through, but it may change behind our back.
    ///   - byteCount: How many bytes `region` keeps readable.
    package init(start: UnsafeRawPointer, byteCount: Int, region: any MappedRegion) {
        unsafe self.start = start
        self.byteCount = byteCount
        self.region = region
    }

    /// The bytes of a range, without a copy; valid as long as the mapping is held.
    ///
    /// - Parameter range: Positions in the file, within the mapping (checked) and below the end
    ///   of the file (not checked).
    @inlinable
    @_lifetime(borrow self)
    package func bytes(_ range: Range<Int>) -> RawSpan {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= byteCount,
            "bytes \(range) were asked of a mapping of \(byteCount) bytes")
        let span = unsafe RawSpan(
            _unsafeStart: start + range.lowerBound, byteCount: range.count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Brings the pages of a range into memory, so that reading them does not wait for the disk.
    ///
    /// A page that cannot be read, or that lies beyond the end of the file, is thrown as EIO and
    /// not met later as SIGBUS. A kernel before 5.14 cannot tell; there this does nothing.
    ///
    /// - Parameter range: Positions in the file, within the mapping (checked).
    package func populate(_ range: Range<Int>) throws(FileError) {
        checkBounds(range)
        if !range.isEmpty { try region.populate(range) }
    }

    /// Tells the kernel that a range will be read soon, or not again for a while. A hint: it
    /// neither blocks nor fails.
    ///
    /// - Parameter range: Positions in the file, within the mapping (checked).
    package func advise(_ advice: MappingAdvice, _ range: Range<Int>) {
        checkBounds(range)
        if !range.isEmpty { region.advise(advice, range) }
    }

    private func checkBounds(_ range: Range<Int>) {
        invariant(
            range.lowerBound >= 0 && range.upperBound <= byteCount,
            "range \(range) lies outside a mapping of \(byteCount) bytes")
    }
}

/// What is expected of a range of a mapping.
package enum MappingAdvice: Hashable, Sendable {
    /// It is read soon: start reading ahead.
    case willNeed
    /// It is not read again soon: its pages may go. They come back from the file when touched.
    case dontNeed
}

/// The memory behind a `FileMapping`: kept readable until the region is deinitialized.
package protocol MappedRegion: AnyObject, Sendable {
    /// Makes the pages of a non-empty range present; see `FileMapping.populate`.
    func populate(_ range: Range<Int>) throws(FileError)
    /// Passes a hint for a non-empty range on.
    func advise(_ advice: MappingAdvice, _ range: Range<Int>)
}
