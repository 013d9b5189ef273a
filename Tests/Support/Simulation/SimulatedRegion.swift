import Glibc
import TallyFiles

/// The memory of a mapping of a simulated file. What is written to the file is written here too,
/// so that readers see it at once, as through a shared mapping.
///
/// It is address space without memory until something is written, so a mapping of the maximum
/// size of a segment costs nothing.
final class SimulatedRegion: MappedRegion, @unchecked Sendable {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
    private let fileSystem: SimulatedFileSystem
    private let contents: SimulatedContents
    private let path: String

    init(
        _ fileSystem: SimulatedFileSystem, _ contents: SimulatedContents, _ path: String,
        byteCount: Int
    ) throws(FileError) {
        let address = mmap(
            nil, byteCount, PROT_READ | PROT_WRITE,
            Int32(MAP_PRIVATE) | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE), -1, 0)
        guard let address, address != MAP_FAILED else {
            throw FileError(operation: "map", path: path, code: errno)
        }
        start = address
        self.byteCount = byteCount
        self.fileSystem = fileSystem
        self.contents = contents
        self.path = path
    }

    deinit {
        munmap(start, byteCount)
    }

    /// Shows a change of the file. Under the file system's mutex.
    func apply(_ change: SimulatedContents.Change) {
        switch change {
        case .write(let position, let bytes):
            let visible = min(bytes.count, byteCount - position)
            if visible > 0 {
                bytes.withUnsafeBytes {
                    (start + position).copyMemory(from: $0.baseAddress!, byteCount: visible)
                }
            }
        case .truncate(let newByteCount):
            if newByteCount < byteCount {
                memset(start + newByteCount, 0, byteCount - newByteCount)
            }
        }
    }

    /// Stricter than the kernel, which knows pages only: the range must lie within the file.
    func populate(_ range: Range<Int>) throws(FileError) {
        let operation = Operation(kind: .populate, path: path, range: range)
        try fileSystem.perform(operation) { (_) throws(FileError) in
            guard range.upperBound <= contents.live.count else {
                throw FileError(operation: "read the mapped pages of", path: path, code: EIO)
            }
        }
    }

    func advise(_ advice: MappingAdvice, _ range: Range<Int>) {}
}

/// A lock on a simulated file; it does not survive the process.
final class SimulatedLock: FileLock {
    private let fileSystem: SimulatedFileSystem
    private let contents: SimulatedContents

    init(_ fileSystem: SimulatedFileSystem, _ contents: SimulatedContents) {
        self.fileSystem = fileSystem
        self.contents = contents
    }

    deinit {
        release()
    }

    func release() {
        fileSystem.state.withLock { state in
            guard state.locks[contents.identity] == ObjectIdentifier(self) else { return }
            state.locks[contents.identity] = nil
            if !state.isGone { state.truncate(contents, to: 0) }
        }
    }
}
