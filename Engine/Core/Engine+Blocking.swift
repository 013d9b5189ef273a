import Synchronization
import TallyFiles
import TallyLog
public import TallyRecords

extension Engine {
    /// Runs work that blocks (SQLite, cold reads) on one of the engine's threads for long work,
    /// where it keeps nobody's appends waiting.
    ///
    /// The work gets a flag that is set when the calling task is cancelled; it ends at the next
    /// good moment by throwing `CancellationError`.
    package func blocking<Success: Sendable>(
        _ work: @escaping @Sendable (CancellationFlag) throws -> Success
    ) async throws -> Success {
        let flag = CancellationFlag()
        return try await withTaskCancellationHandler {
            try await longWorkers.run { try work(flag) }
        } onCancel: {
            flag.set()
        }
    }

    /// Where the records of a leader epoch end: the first offset of the next newer epoch, or the
    /// log end for the newest. Nil when the log knows no epoch so early.
    ///
    /// A stored position is checked with it before use: one that lies behind the end of its epoch
    /// speaks of records that a power loss took, and offsets that others may have by now.
    public func endOffset(
        ofTopic topic: String, partition: Int32, forEpoch epoch: LeaderEpoch
    ) throws(EngineError) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        try self.partition(partition, of: topic).log.endOffset(forEpoch: epoch)
    }
}

/// Set once, when work should end early. Thread rule: any thread.
package final class CancellationFlag: Sendable {
    private let value = Atomic<Bool>(false)

    /// Asks the work to end.
    package func set() { value.store(true, ordering: .releasing) }

    /// Throws `CancellationError` once the flag is set.
    package func check() throws {
        if value.load(ordering: .acquiring) { throw CancellationError() }
    }
}

extension Consumer {
    /// The next records, without waiting for more to arrive: nil where there is nothing now.
    ///
    /// Blocks on the disk: not for Swift's cooperative threads. Throws as the iteration does.
    package func poll() throws -> ConsumedRecords? {
        guard case .records(let records) = try fetchAny() else { return nil }
        return records
    }
}

/// Runs file work of the data directory; what the file system refuses comes as ``LogError``, as
/// from the logs.
func withLogErrors<Success>(_ body: () throws -> Success) throws -> Success {
    do {
        return try body()
    } catch let error as FileError {
        throw LogError.file(error)
    }
}
