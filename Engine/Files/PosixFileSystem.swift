import Glibc

/// The file system of the operating system. Any thread: it holds no state.
package struct PosixFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        try PosixFile(path, mode)
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        guard let stream = unsafe opendir(directory) else {
            throw FileError(operation: "list", path: directory, code: errno)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while true {
            // The end and an error both come back as nil; only the latter sets the number.
            errno = 0
            guard let entry = unsafe readdir(stream) else { break }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe String(cString: UnsafeRawPointer(field).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        let code = errno
        guard code == 0 else { throw FileError(operation: "list", path: directory, code: code) }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    package func information(_ path: String) throws(FileError) -> FileInformation? {
        var status = stat()
        do {
            _ = try systemCall("examine", path) { unsafe stat(path, &status) }
            return FileInformation(status)
        } catch {
            if error.isAbsent { return nil }
            throw error
        }
    }

    package func rename(_ source: String, to destination: String) throws(FileError) {
        _ = try systemCall("rename", source) { unsafe Glibc.rename(source, destination) }
    }

    package func remove(_ path: String) throws(FileError) {
        _ = try systemCall("remove", path) { unsafe unlink(path) }
    }

    package func createDirectory(_ path: String) throws(FileError) {
        do {
            _ = try systemCall("create directory", path) { unsafe mkdir(path, 0o755) }
        } catch {
            // Something else by that name is not a directory that exists already.
            guard error.code == EEXIST, try information(path)?.isDirectory == true else {
                throw error
            }
        }
    }

    package func removeDirectory(_ path: String) throws(FileError) {
        _ = try systemCall("remove directory", path) { unsafe rmdir(path) }
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = try systemCall("open directory", path) {
            unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        defer { close(descriptor) }
        do {
            _ = try systemCall("sync directory", path) { fsync(descriptor) }
        } catch {
            // EINVAL: a file system without directory sync; there is nothing more one could do.
            guard error.code == EINVAL else { throw error }
        }
    }

    package func lock(_ path: String, contents: String) throws(FileLockError) -> any FileLock {
        try PosixFileLock(path, contents: contents)
    }

    package func copyPrefix(
        of source: String, byteCount: Int64, to destination: String
    ) throws(FileError) {
        let input = try PosixFile(source, .read)
        let output = try PosixFile(destination, .create)
        do throws(FileError) {
            try output.truncate(to: 0)
            let copied = copyInKernel(from: input, to: output, byteCount: byteCount)
            try copyByHand(from: input, to: output, from: copied, byteCount: byteCount)
            try output.sync()
        } catch {
            try? remove(destination)
            throw error
        }
    }

    /// Copies as much as the kernel does without bringing the bytes here; how much that was. It
    /// stops where that is not supported (another file system, an old kernel), where the source
    /// ends and at any error: copying the rest by hand settles which it was.
    private func copyInKernel(
        from input: PosixFile, to output: PosixFile, byteCount: Int64
    ) -> Int64 {
        var position: Int64 = 0
        while position < byteCount {
            let step = Platform.copyRange(
                from: input.descriptor, to: output.descriptor, at: position,
                Int(min(byteCount - position, 1 << 30)))
            if step > 0 {
                position += Int64(step)
            } else if step == 0 || errno != EINTR {
                break
            }
        }
        return position
    }
}
