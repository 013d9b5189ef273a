import Synchronization
import TallyFiles
import TallyGroups

/// Keeps ``GroupNotes`` up to date: writes them some moments after a change, so that the changes of
/// a rebalance are one.
///
/// Thread rule: any thread.
final class GroupNotesWriter: Sendable {
    private let data: DataDirectory
    /// One write after the other: the newest is the last.
    private let lane: SerialLane
    private let alarm = Alarm()
    /// Held while the file is written. False once nothing may be written any more: the directory
    /// may be somebody else's.
    private let isWriting = Mutex(true)
    /// Together with the reading of groups a rebalance of thousands of partitions takes less.
    private static let pause = Duration.milliseconds(50)

    init(data: DataDirectory, workers: WorkerPool) {
        self.data = data
        lane = SerialLane(on: workers)
    }

    /// Removes what an earlier process said of its members. Blocks.
    func begin() {
        let path = joinPath(data.path, GroupNotes.file.name)
        guard (try? data.fileSystem.information(path)) != nil else { return }
        try? data.fileSystem.remove(path)
    }

    /// Something about members has changed.
    ///
    /// - Parameter describe: gives all groups, as they are by then.
    func change(
        _ describe: @escaping @Sendable (@escaping @Sendable ([GroupDescription]) -> Void) -> Void
    ) {
        alarm.set(after: Self.pause) { [weak self] in
            describe { [weak self] groups in
                self?.lane.submit { [weak self] in self?.write(GroupNotes(of: groups)) }
            }
        }
    }

    private func write(_ notes: GroupNotes) {
        isWriting.withLock { mayWrite in
            guard mayWrite else { return }
            try? GroupNotes.file.write(notes, to: data.path, on: data.fileSystem)
        }
    }

    /// Writes nothing any more. Waits for a write under way.
    func stop() {
        alarm.stop()
        isWriting.withLock { $0 = false }
    }
}
