/// A byte position in one segment's `.log` file, counted from 0.
///
/// A type of its own, because mixing it up with an ``Offset`` is the classic mistake of this kind
/// of code. A value type, safe to share between threads.
public struct FilePosition: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    /// The number of bytes before it; 0 or more in a file.
    public var rawValue: Int

    /// The same as a plain number.
    @inlinable
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// A position from a plain number of bytes.
    @inlinable
    public init(_ rawValue: Int) { self.rawValue = rawValue }

    /// The start of the file.
    @inlinable
    public static var start: FilePosition { FilePosition(0) }

    /// The position `byteCount` bytes further on.
    @inlinable
    public func advanced(by byteCount: Int) -> FilePosition { FilePosition(rawValue + byteCount) }

    /// The order of the numbers.
    @inlinable
    public static func < (left: FilePosition, right: FilePosition) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
