/// A byte position in one segment's `.log` file, counted from 0.
///
/// A type of its own, because mixing it up with an ``Offset`` is the classic mistake of this kind
/// of code. A value type, safe to share between threads.
public struct FilePosition: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    /// Bytes from the start of the file.
    public var rawValue: Int

    /// A position from a plain number of bytes.
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

    /// Whether one position lies before another.
    @inlinable
    public static func < (left: FilePosition, right: FilePosition) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number of bytes.
    public var description: String { String(rawValue) }
}
