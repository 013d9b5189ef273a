import TallyFiles
import TallyRecords

/// The mark that a partition's directory carries after a failed sync, until its next recovery.
///
/// The kernel takes pages that it could not write for clean, and forgets the error: a later sync
/// succeeds and stores nothing. Whoever opens the log next reads those pages from memory and must
/// not take them for stored; it writes them again, so that a sync means something. The mark is an
/// empty file, set as well as a failing disk allows.
struct SyncDoubt {
    static let fileName = "sync-failed"

    private let path: String
    private let directory: String
    private let fileSystem: any FileSystem

    init(in directory: String, on fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
        path = joinPath(directory, Self.fileName)
    }

    func mark() {
        // Nobody could be told of a failure here but who is told already.
        _ = try? fileSystem.open(path, .create)
        try? fileSystem.syncDirectory(directory)
    }

    /// Takes the mark away, once everything was written again and synced.
    func clear() throws(FileError) {
        try fileSystem.remove(path)
        try fileSystem.syncDirectory(directory)
    }

    /// Writes the bytes of a segment from a position on over themselves, so that the kernel takes
    /// them for changed, from the start of a page on. The caller syncs.
    static func writeAgain(_ segment: Segment, from position: Int) throws(FileError) {
        var at = position & ~4095
        while at < segment.byteCount {
            let bytes = try segment.logFile.read(
                byteCount: min(1 << 20, segment.byteCount - at), at: Int64(at))
            guard !bytes.isEmpty else { throw .shortened(segment.path) }
            try segment.logFile.write(all: bytes.rawSpan, at: Int64(at))
            at += bytes.count
        }
    }
}
