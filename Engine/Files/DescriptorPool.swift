import Synchronization

/// Bounds how many files are open at once, so that thousands of partitions live under a small
/// limit on descriptors. Files are opened when they are first used; when too many are open, one
/// that was not used lately is synced, if it has unsynced writes, and closed (the clock
/// algorithm, an approximation of least recently used).
///
/// The bound is kept except while more files than that are in use at the same moment. Any thread.
///
/// Locks, in the order in which they may be taken: a file's own, then the pool's. The pool never
/// waits for a file: one that is busy is passed over.
package final class DescriptorPool: Sendable {
    /// How many files may be open at once.
    package let openFilesMax: Int

    let fileSystem: any FileSystem
    private let clock = Mutex(Clock())

    /// A pool without open files.
    ///
    /// - Parameter openFilesMax: At least 1. Leave room for what is open besides (`ulimit -n`).
    package init(fileSystem: any FileSystem, openFilesMax: Int) {
        invariant(openFilesMax >= 1, "a pool of \(openFilesMax) open files can open none")
        self.fileSystem = fileSystem
        self.openFilesMax = openFilesMax
    }

    /// The most that a pool should keep open in this process: half of what it may have open
    /// (`ulimit -n`), for directories, files that are replaced, and the application need some too.
    package static var openFilesMaxOfProcess: Int { max(Platform.openFilesLimit / 2, 1) }

    /// How many files of the pool are open now.
    package var openFileCount: Int {
        clock.withLock { $0.openFileCount }
    }

    /// A file that is opened when it is first used; so far nothing is opened, checked or created.
    ///
    /// - Parameters:
    ///   - path: Which file. Make one object per file: each keeps its own account of what is
    ///     unsynced.
    ///   - mode: How it is opened first. It is created by the first opening only: a file that has
    ///     vanished since is an error.
    ///   - isExpendable: What a power loss takes of it can be made again, so that the pool closes
    ///     it without a sync.
    package func file(
        _ path: String, _ mode: OpenMode, isExpendable: Bool = false
    ) -> PooledFile {
        PooledFile(path, mode, isExpendable: isExpendable, pool: self)
    }

    /// Opens a file for `owner`, closing others where needed. The caller holds the owner's lock.
    ///
    /// - Returns: The file, and the slot that the owner gives back when it closes.
    func open(
        _ path: String, _ mode: OpenMode, for owner: PooledFile
    ) throws(FileError) -> (file: any File, slot: Int) {
        while openFileCount >= openFilesMax {
            // All in use: rather one too many than a deadlock. The next opening evens it out.
            guard closeOne() else { break }
        }
        let slot = clock.withLock { $0.insert(owner) }
        while true {
            do throws(FileError) {
                return (try fileSystem.open(path, mode), slot)
            } catch {
                // The limit is tighter than we were told, or others use descriptors too.
                if error.isTooManyOpenFiles && closeOne() { continue }
                giveBack(slot)
                throw error
            }
        }
    }

    /// The file of this slot is closed.
    func giveBack(_ slot: Int) {
        clock.withLock { $0.remove(slot) }
    }

    /// Closes one file that is not in use; false where there is none.
    private func closeOne() -> Bool {
        // Two rounds see every file once without its mark of recent use; files that others close
        // or open meanwhile may cost another candidate, never the end of this loop.
        var attemptsLeft = 2 * openFileCount + 1
        while attemptsLeft > 0 {
            attemptsLeft -= 1
            guard let candidate = clock.withLock({ $0.next() }) else { return false }
            if candidate.closeIfIdle() { return true }
        }
        return false
    }
}

/// Whether a file was used since the hand of the clock last passed it. Any thread.
final class UsageMark: Sendable {
    private let isSet = Atomic<Bool>(false)

    /// Notes a use. Loads first, so that a busy file's cache line is not written each time.
    func note() {
        if !isSet.load(ordering: .relaxed) { isSet.store(true, ordering: .relaxed) }
    }

    /// Whether there was a use; asked again, there was none.
    func take() -> Bool {
        isSet.exchange(false, ordering: .relaxed)
    }
}

/// The open files in a ring, and a hand that goes around it.
private struct Clock {
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var hand = 0

    /// How many slots are taken.
    var openFileCount: Int { slots.count - freeSlots.count }

    /// One place in the ring. The owner is not kept alive: it gives its slot back when it goes.
    private struct Slot {
        weak var owner: PooledFile?
        var usage: UsageMark?
    }

    mutating func insert(_ owner: PooledFile) -> Int {
        if let slot = freeSlots.popLast() {
            slots[slot] = Slot(owner: owner, usage: owner.usage)
            return slot
        }
        slots.append(Slot(owner: owner, usage: owner.usage))
        return slots.count - 1
    }

    mutating func remove(_ slot: Int) {
        slots[slot] = Slot()
        freeSlots.append(slot)
    }

    /// Moves the hand to the next file that was not used since the hand last passed it.
    ///
    /// Only that file is turned into a strong reference, which the caller lets go of outside the
    /// lock: it may be the last, and the file that goes gives its slot back under this lock.
    mutating func next() -> PooledFile? {
        for _ in 0..<(2 * slots.count) {
            hand = hand + 1 < slots.count ? hand + 1 : 0
            guard let usage = slots[hand].usage, !usage.take() else { continue }
            if let owner = slots[hand].owner { return owner }
        }
        return nil
    }
}
