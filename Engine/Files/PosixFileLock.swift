import Glibc
import Synchronization

/// A write lock over the whole file that belongs to this open file and not to the process, so
/// that a second engine of the same process is kept out too. The locks that Java takes
/// (`FileChannel.tryLock`) belong to a process; the kernel lets the two kinds conflict.
final class PosixFileLock: FileLock {
    private let file: PosixFile
    private let isHeld = Atomic<Bool>(true)

    /// Takes the lock or says who has it.
    init(_ path: String, contents: String) throws(FileLockError) {
        do throws(FileError) {
            file = try PosixFile(path, .create)
        } catch {
            throw .failed(error)
        }
        var request = Self.wholeFile(F_WRLCK)
        do throws(FileError) {
            _ = try systemCall("lock", path) {
                unsafe fcntl(file.descriptor, Platform.setOpenFileLock, &request)
            }
        } catch {
            isHeld.store(false, ordering: .relaxed)
            // The kernel says EAGAIN; POSIX allows EACCES.
            guard error.code == EAGAIN || error.code == EACCES else { throw .failed(error) }
            throw .held(by: Self.holder(of: file))
        }
        do throws(FileError) {
            try file.truncate(to: 0)
            try file.write(all: Array(contents.utf8), at: 0)
        } catch {
            // A full disk must not keep anybody from opening, and so from deleting.
            if !error.isNoSpace { throw .failed(error) }
        }
    }

    deinit {
        release()
    }

    func release() {
        guard isHeld.exchange(false, ordering: .acquiringAndReleasing) else { return }
        // Emptied first: afterwards the file may be the next holder's.
        try? file.truncate(to: 0)
        // Unlocked and not only closed: a child that was forked in between shares the open file.
        var request = Self.wholeFile(F_UNLCK)
        _ = unsafe fcntl(file.descriptor, Platform.setOpenFileLock, &request)
    }

    /// A request about all of a file, however long it becomes.
    private static func wholeFile(_ type: Int32) -> flock {
        var request = flock()
        request.l_type = Int16(type)
        request.l_whence = Int16(SEEK_SET)
        return request
    }

    /// Who holds the lock. The kernel knows the process of a POSIX lock (Kafka writes nothing into
    /// the file, and an earlier holder's text may still stand there); of a lock like ours it does
    /// not, but then the holder wrote its text.
    private static func holder(of file: PosixFile) -> String {
        var request = wholeFile(F_WRLCK)
        let status = unsafe fcntl(file.descriptor, Platform.getOpenFileLock, &request)
        if status == 0 && request.l_type != Int16(F_UNLCK) && request.l_pid > 0 {
            return String(request.l_pid)
        }
        let text = (try? file.read(byteCount: 256, at: 0)) ?? []
        return String(decoding: text, as: UTF8.self)
    }
}
