import Glibc

// In a debug build the generic operations of Array move byte by byte, a thousand times slower
// than these; the tests of the layers above write megabytes.

extension Array where Element == UInt8 {
    /// Makes the array shorter, or longer with zeros.
    mutating func resize(to newCount: Int) {
        if newCount <= count {
            removeSubrange(newCount..<count)
            return
        }
        if newCount > capacity { reserveCapacity(Swift.max(newCount, 2 * capacity)) }
        while count < newCount {
            Self.zeros.withUnsafeBufferPointer { zeros in
                append(contentsOf: UnsafeBufferPointer(rebasing: zeros.prefix(newCount - count)))
            }
        }
    }

    private static let zeros = [UInt8](repeating: 0, count: 1 << 16)

    /// Replaces the bytes from `position` on by a range of another array's; they must fit.
    mutating func overwrite(at position: Int, with source: [UInt8], _ range: Range<Int>) {
        precondition(position >= 0 && position + range.count <= count)
        precondition(range.lowerBound >= 0 && range.upperBound <= source.count)
        if range.isEmpty { return }
        source.withUnsafeBytes { source in
            withUnsafeMutableBytes { target in
                _ = memcpy(
                    target.baseAddress! + position, source.baseAddress! + range.lowerBound,
                    range.count)
            }
        }
    }

    /// A copy of a range.
    func copy(_ range: Range<Int>) -> [UInt8] {
        var copy: [UInt8] = []
        copy.resize(to: range.count)
        copy.overwrite(at: 0, with: self, range)
        return copy
    }
}
