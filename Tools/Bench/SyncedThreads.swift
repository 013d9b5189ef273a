import Foundation
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords

/// What the disk allows: a thread for each of some files, which writes to it and syncs it.
struct SyncedFiles {
    private let opened: [SyncedFile]
    /// As many bytes as a batch with one record of 100.
    private static let chunk = [UInt8](repeating: 7, count: 170)

    init(_ count: Int, in directory: String) throws {
        let files = PosixFileSystem()
        try files.createDirectory(directory)
        opened = try (0..<count).map {
            SyncedFile(file: try files.open(directory + "/\($0).bin", .create))
        }
        try files.syncDirectory(directory)
    }

    /// Writes that are synced, a second.
    func rate(for seconds: Double) -> Double {
        threadRate(of: opened, seconds: seconds) { opened in
            let position = opened.end.add(
                Int64(Self.chunk.count), ordering: .relaxed
            ).oldValue
            try opened.file.write(all: Self.chunk, at: position)
            try opened.file.sync()
        }
    }
}

/// A file, and where its next write goes. One thread at a time.
private final class SyncedFile: Sendable {
    let file: any File
    let end = Atomic<Int64>(0)

    init(file: any File) { self.file = file }
}

/// A thread for each of some logs, which appends to it and syncs it: no producer, no task.
struct SyncedLogs {
    private let logs: [PartitionLog]
    private let batch: [UInt8]

    init(_ count: Int, in directory: String) throws {
        let files = PosixFileSystem()
        let environment = LogEnvironment(fileSystem: files, openFilesMax: 512)
        logs = try (0..<count).map { index in
            let path = directory + "/threads-\(index)"
            try files.createDirectory(path)
            return try PartitionLog.open(
                path, environment: environment, configuration: LogConfiguration(),
                checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: .zero))
        }
        var builder = try RecordBatchBuilder()
        try builder.append(
            key: nil, value: [UInt8](repeating: 7, count: 100).rawSpan, timestamp: .none)
        let bytes = try builder.finish()
        batch = (0..<bytes.byteCount).map {
            bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
        }
    }

    func close() {
        for log in logs { _ = try? log.close() }
    }

    /// Appends that are synced, a second.
    func rate(for seconds: Double) -> Double {
        threadRate(of: logs, seconds: seconds) { log in
            var copy = batch
            var span = copy.mutableSpan
            var bytes = span.mutableBytes
            let result = try log.append(&bytes, from: .ownEncoder, now: .none)
            try log.flush(reaching: result.nextOffset)
        }
    }
}

/// How often a second something can be done with each of some things, on a thread for each.
private func threadRate<Thing: Sendable>(
    of things: [Thing], seconds: Double, _ body: @escaping @Sendable (Thing) throws -> Void
) -> Double {
    let done = Atomic<Int>(0)
    let start = ContinuousClock.now
    let end = start + .seconds(seconds)
    let finished = DispatchGroup()
    for thing in things {
        let thread = Thread {
            while ContinuousClock.now < end, (try? body(thing)) != nil {
                done.add(1, ordering: .relaxed)
            }
            finished.leave()
        }
        finished.enter()
        thread.start()
    }
    finished.wait()
    let time = (ContinuousClock.now - start) / .seconds(1)
    return Double(done.load(ordering: .relaxed)) / time
}
