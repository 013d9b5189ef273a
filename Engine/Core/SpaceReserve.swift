import Logging
import Synchronization
import TallyFiles
import TallyLog

/// A file that holds some of the disk's space, to be given up when the disk is full: so that
/// retention, checkpoints, the deletion of topics and a stop in order go on without any room.
///
/// It is no evidence of anything: it may be missing, of any length, or be removed by anybody.
/// Kafka looks at directories and at files of its own names, and leaves it alone.
///
/// Thread rule: any thread; ``spend(_:)`` may be nested.
final class SpaceReserve: Sendable {
    static let fileName = ".reserve"

    private let path: String
    private let byteCount: Int
    private let fileSystem: any FileSystem
    private let gate: SpaceGate
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        /// The file is there with its space.
        var isHeld = false
        /// How many use the space just now: it is not taken back meanwhile.
        var spenderCount = 0
        /// Whether the log was told that there is none.
        var isLackTold = false
    }

    /// - Parameters:
    ///   - byteCount: how much it holds; 0 for none.
    ///   - gate: shut while the space is used, so that no append takes it.
    init(
        in directory: String, on fileSystem: any FileSystem, byteCount: Int, gate: SpaceGate,
        logger: Logger
    ) {
        path = joinPath(directory, Self.fileName)
        self.byteCount = byteCount
        self.fileSystem = fileSystem
        self.gate = gate
        self.logger = logger
    }

    /// Whether the space is held; for tests.
    var isHeld: Bool { state.withLock { $0.isHeld } }

    /// Takes the space, unless it is held or being used. Where there is none, the next call tries
    /// again; nothing else depends on it.
    func hold() {
        state.withLock { state in
            guard !state.isHeld, state.spenderCount == 0 else { return }
            do throws(FileError) {
                try allocate()
                state.isHeld = byteCount > 0
                state.isLackTold = false
            } catch {
                try? fileSystem.remove(path)
                if !state.isLackTold { logger.warning("There is no reserve of space: \(error)") }
                state.isLackTold = true
            }
        }
    }

    private func allocate() throws(FileError) {
        let found = try fileSystem.information(path)
        guard byteCount > 0 else {
            if found != nil { try fileSystem.remove(path) }
            return
        }
        let file = try fileSystem.open(path, .create)
        let wanted = Int64(byteCount)
        if let found, found.byteCount > wanted { try file.truncate(to: wanted) }
        guard try file.reserve(0..<wanted) else {
            // A file system that cannot reserve: written for real, unless it is already.
            guard found?.byteCount != wanted else { return }
            let zeros = [UInt8](repeating: 0, count: min(byteCount, 64 << 10))
            var position = 0
            while position < byteCount {
                let count = min(zeros.count, byteCount - position)
                try file.write(all: zeros.rawSpan.extracting(first: count), at: Int64(position))
                position += count
            }
            return
        }
        // As long as it is large, for people who look.
        if found?.byteCount != wanted { try file.truncate(to: wanted) }
    }

    /// Runs work that must go on without room; where it fails for want of space, once more with
    /// the space of the reserve, which no append can take meanwhile. Then takes the space back,
    /// if there is enough.
    ///
    /// - Parameter work: may be run twice: what it did before it failed must do no harm.
    func spend<Success, Failure: Error>(
        _ work: () throws(Failure) -> Success
    ) throws(Failure) -> Success {
        do throws(Failure) {
            return try work()
        } catch {
            guard error.isLackOfSpace, giveUp() else { throw error }
            defer { takeBack() }
            return try work()
        }
    }

    /// Gives the space to the caller; false where there is none to give.
    private func giveUp() -> Bool {
        state.withLock { state in
            guard state.isHeld || state.spenderCount > 0 else { return false }
            gate.shut()
            state.spenderCount += 1
            guard state.isHeld else { return true }
            state.isHeld = false
            logger.warning("The disk is full: the reserve of \(byteCount) bytes is used.")
            do throws(FileError) {
                try fileSystem.remove(path)
            } catch {
                logger.warning("The reserve could not be given up: \(error)")
            }
            return true
        }
    }

    private func takeBack() {
        state.withLock { $0.spenderCount -= 1 }
        hold()
        // Only now: or an append would be quicker.
        gate.open()
    }
}

extension Error {
    /// Whether space or quota ran out, wherever it was noticed.
    var isLackOfSpace: Bool {
        if let error = self as? FileError { return error.isNoSpace }
        guard case .file(let error)? = self as? LogError else { return false }
        return error.isNoSpace
    }
}
