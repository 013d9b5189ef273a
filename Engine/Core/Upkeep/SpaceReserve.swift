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
        /// What the file holds.
        var heldByteCount = 0
        /// How many use the space just now: it is not taken back meanwhile.
        var spenderCount = 0
        /// Whether the log was told that there is too little.
        var isLackTold = false
    }

    /// Less is not worth a file.
    private static let byteCountMin = 4 << 10

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

    /// How much is held now; for tests.
    var heldByteCount: Int { state.withLock { $0.heldByteCount } }

    /// Takes the space, unless all of it is held or being used; a part of it where there is no
    /// more. The next call tries again; nothing else depends on it.
    func hold() {
        state.withLock { state in
            guard state.spenderCount == 0, state.heldByteCount < byteCount || byteCount == 0 else {
                return
            }
            do throws(FileError) {
                state.heldByteCount = try allocate()
                if state.heldByteCount == byteCount {
                    state.isLackTold = false
                } else if !state.isLackTold {
                    state.isLackTold = true
                    logger.warning(
                        "The reserve of space is \(state.heldByteCount) of \(byteCount) bytes.")
                }
            } catch {
                // Unknown how much it is: none, as far as we may count on it.
                state.heldByteCount = 0
                if !state.isLackTold { logger.warning("There is no reserve of space: \(error)") }
                state.isLackTold = true
            }
        }
    }

    /// Makes the file hold as much as there is room for; how much that is.
    private func allocate() throws(FileError) -> Int {
        guard byteCount > 0 else {
            if try fileSystem.information(path) != nil { try fileSystem.remove(path) }
            return 0
        }
        let file = try fileSystem.open(path, .create)
        let found = try file.byteCount()
        if found > byteCount { try file.truncate(to: Int64(byteCount)) }
        var wanted = byteCount
        while wanted >= Self.byteCountMin {
            do throws(FileError) {
                guard try file.reserve(0..<Int64(wanted)) else {
                    return try fill(file, from: Int(found))
                }
                // As long as it is large, for people who look.
                if found != wanted { try file.truncate(to: Int64(wanted)) }
                return wanted
            } catch {
                guard error.isNoSpace else { throw error }
                wanted /= 2
            }
        }
        try fileSystem.remove(path)
        return 0
    }

    /// Writes the file for real, on a file system that cannot reserve.
    private func fill(_ file: any File, from found: Int) throws(FileError) -> Int {
        let zeros = [UInt8](repeating: 0, count: Self.byteCountMin)
        var position = found / zeros.count * zeros.count
        do throws(FileError) {
            while position < byteCount {
                let count = min(zeros.count, byteCount - position)
                try file.write(all: zeros.rawSpan.extracting(first: count), at: Int64(position))
                position += count
            }
        } catch {
            guard error.isNoSpace else { throw error }
            try file.truncate(to: Int64(position))
        }
        return position
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
            guard state.heldByteCount > 0 || state.spenderCount > 0 else { return false }
            gate.shut()
            state.spenderCount += 1
            guard state.heldByteCount > 0 else { return true }
            logger.warning(
                "The disk is full: the reserve of \(state.heldByteCount) bytes is used.")
            state.heldByteCount = 0
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
