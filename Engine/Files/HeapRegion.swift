/// Bytes of a file copied to memory of our own, for readers that do not want a map: every error
/// of the disk is an error of the copy, and nothing can happen to the bytes afterwards.
///
/// Immutable once made. Any thread.
@safe
final class HeapRegion: MappedRegion, @unchecked Sendable {
    private let start: UnsafeMutableRawPointer

    init(byteCount: Int) {
        unsafe start = UnsafeMutableRawPointer.allocate(
            byteCount: max(byteCount, 1), alignment: 16)
    }

    deinit { unsafe start.deallocate() }

    func populate(_ range: Range<Int>) throws(FileError) {}
    func advise(_ advice: MappingAdvice, _ range: Range<Int>) {}

    /// Fills the memory and hands it out as a mapping of the bytes that could be read.
    func fill(byteCount: Int, from file: any File, at position: Int64) throws(FileError)
        -> FileMapping
    {
        var buffer = unsafe MutableRawSpan(_unsafeStart: start, byteCount: byteCount)
        let count = try file.read(exactly: &buffer, at: position)
        return unsafe FileMapping(start: UnsafeRawPointer(start), byteCount: count, region: self)
    }
}

extension PooledFile {
    /// A copy of a range of the file, shorter where the file ends before it. Blocks.
    package func copy(_ range: Range<Int>) throws(FileError) -> FileMapping {
        try withFile { (file) throws(FileError) in
            try HeapRegion(byteCount: range.count).fill(
                byteCount: range.count, from: file, at: Int64(range.lowerBound))
        }
    }
}
