import Glibc
import TallyFiles

/// An open file of a simulated file system. After a crash every operation throws ESTALE.
final class SimulatedFile: File {
    let path: String
    private let fileSystem: SimulatedFileSystem
    private let contents: SimulatedContents
    private let isWritable: Bool

    /// Files stay in memory; a position far beyond that is a mistake of the code under test.
    private static let byteCountMax = 1 << 31

    init(
        _ fileSystem: SimulatedFileSystem, _ path: String, _ contents: SimulatedContents,
        isWritable: Bool
    ) {
        self.fileSystem = fileSystem
        self.path = path
        self.contents = contents
        self.isWritable = isWritable
    }

    deinit {
        fileSystem.state.withLock { $0.openFileCount -= 1 }
    }

    func information() throws(FileError) -> FileInformation {
        try fileSystem.perform(Operation(kind: .information, path: path)) { _ in
            contents.information
        }
    }

    func readSome(
        into buffer: inout MutableRawSpan, at position: Int64
    ) throws(FileError) -> Int {
        // Where a file cannot have bytes there are none to read: no error.
        let start = min(position, Int64(Self.byteCountMax))
        let wanted = min(buffer.byteCount, Self.byteCountMax - max(0, Int(start)))
        let range = try checked(start, wanted, "read")
        return try buffer.withUnsafeMutableBytes { (target) throws(FileError) in
            // The pointer is used within the call only.
            nonisolated(unsafe) let target = target
            let operation = Operation(kind: .read, path: path, range: range)
            return try fileSystem.state.withLock { (state) throws(FileError) in
                let effect = try state.begin(operation)
                if let code = effect?.code {
                    throw FileError(operation: "read", path: path, code: code)
                }
                let found = range.clamped(to: 0..<contents.live.count)
                let count = min(found.count, effect?.byteCountMax ?? .max)
                contents.live.withUnsafeBytes { live in
                    target.copyMemory(from: .init(rebasing: live[found].prefix(count)))
                }
                return count
            }
        }
    }

    func writeSome(_ bytes: RawSpan, at position: Int64) throws(FileError) -> Int {
        let range = try checked(position, bytes.byteCount, "write")
        var copy = bytes.withUnsafeBytes { Array($0) }
        let operation = Operation(kind: .write, path: path, range: range)
        return try fileSystem.state.withLock { (state) throws(FileError) in
            let effect = try state.begin(operation)
            guard isWritable else {
                throw FileError(operation: "write", path: path, code: EBADF)
            }
            var storedCount = range.count
            if let effect { storedCount = min(storedCount, effect.byteCountMax ?? 0) }
            let end = range.lowerBound + storedCount
            let granted = state.allocate(contents, upTo: end)
            if granted < end {
                storedCount = max(0, granted - range.lowerBound)
                if storedCount == 0 {
                    throw FileError(operation: "write", path: path, code: ENOSPC)
                }
            }
            copy.resize(to: storedCount)
            contents.write(copy, at: range.lowerBound)
            contents.modificationTime = state.clock
            if let code = effect?.code {
                throw FileError(operation: "write", path: path, code: code)
            }
            return storedCount
        }
    }

    func sync() throws(FileError) {
        try fileSystem.state.withLock { (state) throws(FileError) in
            if let code = try state.begin(Operation(kind: .sync, path: path))?.code {
                contents.failSync()
                throw FileError(operation: "sync", path: path, code: code)
            }
            contents.sync()
        }
    }

    func truncate(to byteCount: Int64) throws(FileError) {
        let range = try checked(0, Int(byteCount), "truncate")
        let operation = Operation(kind: .truncate, path: path, range: range)
        try fileSystem.perform(operation) { (state) throws(FileError) in
            guard isWritable else {
                throw FileError(operation: "truncate", path: path, code: EINVAL)
            }
            state.truncate(contents, to: range.upperBound)
        }
    }

    func reserve(_ range: Range<Int64>) throws(FileError) -> Bool {
        let checkedRange = try checked(range.lowerBound, range.count, "reserve space for")
        let operation = Operation(kind: .reserve, path: path, range: checkedRange)
        return try fileSystem.perform(operation) { (state) throws(FileError) in
            guard state.supportsReserving else { return false }
            let before = contents.allocatedByteCount
            if state.allocate(contents, upTo: checkedRange.upperBound) < checkedRange.upperBound {
                // All or nothing.
                if contents.isLinked { state.usedBytes -= contents.allocatedByteCount - before }
                contents.allocatedByteCount = before
                throw FileError(operation: "reserve space for", path: path, code: ENOSPC)
            }
            return true
        }
    }

    func map(byteCount: Int) throws(FileError) -> FileMapping {
        let range = try checked(0, byteCount, "map")
        guard byteCount > 0 else { throw FileError(operation: "map", path: path, code: EINVAL) }
        let region = try fileSystem.perform(Operation(kind: .map, path: path, range: range)) {
            (_) throws(FileError) in
            try contents.region(byteCount: byteCount) { () throws(FileError) in
                try SimulatedRegion(fileSystem, contents, path, byteCount: byteCount)
            }
        }
        return FileMapping(
            start: UnsafeRawPointer(region.start), byteCount: byteCount, region: region)
    }

    /// The range as `Int`, once it is known to be one that a file can have.
    private func checked(
        _ position: Int64, _ byteCount: Int, _ operation: String
    ) throws(FileError) -> Range<Int> {
        guard position >= 0, byteCount >= 0 else {
            throw FileError(operation: operation, path: path, code: EINVAL)
        }
        let (end, overflow) = Int(position).addingReportingOverflow(byteCount)
        guard !overflow, end <= Self.byteCountMax else {
            throw FileError(operation: operation, path: path, code: EFBIG)
        }
        return Int(position)..<end
    }
}
