// What differs between operating systems. Linux is what is built and tested; the other branch
// states what a port to macOS needs.

#if os(Linux)
    import Glibc

    /// The numbers and calls that are not the same everywhere.
    enum Platform {
        /// Locks that belong to an open file and not to a process; they conflict with the locks
        /// of processes (POSIX, Java) all the same.
        static let setOpenFileLock: Int32 = 37
        /// Asks who stands in the way of such a lock.
        static let getOpenFileLock: Int32 = 36
        /// MADV_POPULATE_READ, Linux 5.14: fault pages in and report what cannot be.
        private static let populateReadAdvice: Int32 = 22
        /// FALLOC_FL_KEEP_SIZE.
        private static let keepSize: Int32 = 1
        /// The clock of ``MachineClock``.
        static let machineClock = CLOCK_BOOTTIME

        /// Syncs a file's bytes and what is needed to find them (its length, not its times).
        static func syncData(_ descriptor: Int32) -> Int32 {
            fdatasync(descriptor)
        }

        /// Allocates space without changing the length.
        static func reserve(_ descriptor: Int32, _ position: Int64, _ byteCount: Int64) -> Int32 {
            guard let fallocate = GlibcSymbols.fallocate else {
                errno = ENOSYS
                return -1
            }
            return fallocate(descriptor, keepSize, off_t(position), off_t(byteCount))
        }

        /// Faults pages in for reading; EINVAL where the kernel is too old.
        static func populate(_ start: UnsafeMutableRawPointer, _ byteCount: Int) -> Int32 {
            unsafe madvise(start, byteCount, populateReadAdvice)
        }

        /// Copies between two files within the kernel, sharing blocks where that is possible.
        static func copyRange(
            from source: Int32, to destination: Int32, at position: Int64, _ byteCount: Int
        ) -> Int {
            guard let copyFileRange = unsafe GlibcSymbols.copyFileRange else {
                errno = ENOSYS
                return -1
            }
            var sourcePosition = off_t(position)
            var destinationPosition = off_t(position)
            return unsafe copyFileRange(
                source, &sourcePosition, destination, &destinationPosition, byteCount, 0)
        }

        /// Sleeps for some milliseconds, or less where a signal comes.
        static func sleep(milliseconds: UInt32) { usleep(milliseconds * 1000) }

        /// How many descriptors this process may have open (`ulimit -n`).
        static var openFilesLimit: Int {
            var limit = rlimit()
            let status = unsafe getrlimit(
                __rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            return status == 0 ? Int(clamping: limit.rlim_cur) : .max
        }

        /// When the contents last changed, since 1970.
        static func modificationTime(_ status: stat) -> Duration {
            Duration(
                secondsComponent: Int64(status.st_mtim.tv_sec),
                attosecondsComponent: Int64(status.st_mtim.tv_nsec) * 1_000_000_000)
        }
    }

    /// Functions of glibc that its Swift module leaves out, because its headers show them only
    /// under `_GNU_SOURCE`. Looked up by name, once; nil where the library has none.
    private enum GlibcSymbols {
        typealias Allocate = @convention(c) (Int32, Int32, off_t, off_t) -> Int32
        typealias CopyRange =
            @convention(c) (
                Int32, UnsafeMutablePointer<off_t>?, Int32, UnsafeMutablePointer<off_t>?, Int,
                UInt32
            ) -> Int

        static let fallocate: Allocate? = symbol("fallocate", Allocate.self)
        static let copyFileRange: CopyRange? = unsafe symbol("copy_file_range", CopyRange.self)

        private static func symbol<Function>(_ name: String, _ type: Function.Type) -> Function? {
            guard let address = unsafe dlsym(nil, name) else { return nil }
            return unsafe unsafeBitCast(address, to: type)
        }
    }
#else
    // macOS: `setOpenFileLock` is 90 and `getOpenFileLock` 92 (F_OFD_SETLK, F_OFD_GETLK);
    // `syncData` is fcntl(F_FULLFSYNC), since fsync leaves the bytes in the drive's cache;
    // `reserve` is fcntl(F_PREALLOCATE); `populate` and `copyRange` answer EINVAL, which callers
    // take as "not supported"; the time stands in `st_mtimespec`; `machineClock` is
    // CLOCK_MONOTONIC, which runs on in sleep there; Darwin is imported for Glibc.
    #error("Tally is built and tested on Linux only")
#endif
