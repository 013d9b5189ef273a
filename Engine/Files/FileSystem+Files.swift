import Glibc

/// Whole files: replaced at once, read at once, copied. The callers' threads; they block.
extension FileSystem {
    /// Replaces the contents of a file so that a crash at any moment leaves the old contents or
    /// the new: written beside it (`path` + ".tmp"), synced, renamed over it, directory synced.
    ///
    /// When it throws, the file has the old contents or, where only the sync of the directory
    /// failed, the new ones without a promise that they survive. One caller per path at a time.
    package func replace(_ path: String, with bytes: RawSpan) throws(FileError) {
        let temporary = path + ".tmp"
        let file = try createEmpty(temporary)
        do throws(FileError) {
            try file.write(all: bytes, at: 0)
            try store(file)
            try rename(temporary, to: path)
        } catch {
            try? remove(temporary)
            throw error
        }
        try syncDirectory(parentDirectory(of: path))
    }

    /// Syncs a new file that has no name of its own yet. Where that fails for want of space,
    /// nothing that was there before is in doubt: no failed sync, but a lack of space.
    private func store(_ file: any File) throws(FileError) {
        do throws(FileError) {
            try file.sync()
        } catch {
            guard error.isNoSpace else { throw error }
            throw FileError(operation: "store", path: error.path, code: error.code)
        }
    }

    /// Replaces the contents of a file; see `replace(_:with:)` for spans.
    package func replace(_ path: String, with bytes: [UInt8]) throws(FileError) {
        try replace(path, with: unsafe bytes.span.bytes)
    }

    /// The contents of a small file; nil where there is none.
    ///
    /// - Parameter byteCountMax: EFBIG is thrown where the file is larger.
    package func readWhole(
        _ path: String, byteCountMax: Int
    ) throws(FileError) -> [UInt8]? {
        let file: any File
        do throws(FileError) {
            file = try open(path, .read)
        } catch {
            if error.isAbsent { return nil }
            throw error
        }
        let byteCount = try file.byteCount()
        guard byteCount <= byteCountMax else {
            throw FileError(operation: "read all of", path: path, code: EFBIG)
        }
        return try file.read(byteCount: Int(byteCount), at: 0)
    }

    /// Copies by reading and writing; see the requirement.
    package func copyPrefix(
        of source: String, byteCount: Int64, to destination: String
    ) throws(FileError) {
        let input = try open(source, .read)
        let output = try createEmpty(destination)
        do throws(FileError) {
            try copyByHand(from: input, to: output, from: 0, byteCount: byteCount)
            try output.sync()
        } catch {
            try? remove(destination)
            throw error
        }
    }

    /// Opens a new file, or an existing one emptied.
    package func createEmpty(_ path: String) throws(FileError) -> any File {
        let file = try open(path, .create)
        do throws(FileError) {
            if try file.byteCount() > 0 { try file.truncate(to: 0) }
        } catch {
            try? remove(path)
            throw error
        }
        return file
    }
}

/// Copies the bytes from `start` up to `byteCount` between two open files, without a sync.
func copyByHand(
    from input: any File, to output: any File, from start: Int64, byteCount: Int64
) throws(FileError) {
    var position = start
    var chunk = [UInt8](repeating: 0, count: Int(max(0, min(byteCount - start, 1 << 18))))
    while position < byteCount {
        let wanted = Int(min(byteCount - position, Int64(chunk.count)))
        var span = chunk.mutableSpan
        var whole = unsafe span.mutableBytes
        var buffer = whole._mutatingExtracting(0..<wanted)
        let count = try input.read(exactly: &buffer, at: position)
        let read = unsafe chunk.span.bytes.extracting(0..<count)
        try output.write(all: read, at: position)
        guard count == wanted else {
            throw FileError(operation: "copy", path: input.path, code: ENODATA)
        }
        position += Int64(count)
    }
}
