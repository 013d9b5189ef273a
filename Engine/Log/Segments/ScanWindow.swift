import TallyFiles
import TallyRecords

/// The bytes that a scan has before it: read into memory that is used again and again.
///
/// A scan touches each byte once. Then a copy that stays in the processor's cache is twice as fast
/// as a map, whose pages would have to be entered in the page table and taken out again; and an
/// error of the disk is an error of the read. For one thread.
struct ScanWindow: ~Copyable {
    /// Bytes read at a time: enough to hide the system call, little enough for a processor's own
    /// cache. A larger batch makes the window larger.
    static let byteCount = 256 << 10

    /// File positions that are in the window.
    private(set) var range = 0..<0
    private var memory: [UInt8] = []

    /// Reads a range of the segment's log file, which must be there.
    ///
    /// Throws as ``Segment/load(_:)``.
    mutating func load(_ range: Range<Int>, of segment: Segment) throws(LogError) {
        if memory.count < range.count {
            memory = [UInt8](
                repeating: 0, count: max(range.count, min(Self.byteCount, segment.byteCount)))
        }
        self.range = range
        let count: Int
        do {
            count = try segment.logFile.read(
                byteCount: range.count, into: &memory, at: Int64(range.lowerBound))
        } catch {
            throw .file(error)
        }
        guard count == range.count else {
            throw segment.shortened(to: range.lowerBound + count, range)
        }
    }

    /// The bytes of ``range``.
    var bytes: RawSpan {
        @_lifetime(borrow self) get { memory.rawSpan.extracting(first: range.count) }
    }
}
