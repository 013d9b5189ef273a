import Foundation
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords

/// What the disk allows: a thread for each of some files, which writes to it and syncs it.
struct SyncedFiles {
    private let files = PosixFileSystem()
    private let paths: [String]
    private let opened: [any File]
    /// As many bytes as a batch with one record of 100.
    private static let chunk = [UInt8](repeating: 7, count: 170)

    init(_ count: Int, in directory: String) throws {
        let files = self.files
        paths = (0..<count).map { directory + "/limit-\($0).bin" }
        opened = try paths.map { try files.open($0, .create) }
        try files.syncDirectory(directory)
    }

    func remove() {
        for path in paths { try? files.remove(path) }
    }

    /// Writes that are synced, a second.
    func rate(for seconds: Double) -> Double {
        threadRate(of: opened, seconds: seconds) { file in
            try file.write(all: Self.chunk, at: file.byteCount())
            try file.sync()
        }
    }
}

/// A thread for each of some logs, which appends to it and syncs it: no producer, no task.
struct SyncedLogs {
    private let paths: [String]
    private let logs: [PartitionLog]
    private let batch: [UInt8]

    init(_ count: Int, in directory: String) throws {
        let files = PosixFileSystem()
        let environment = LogEnvironment(fileSystem: files, openFilesMax: 512)
        paths = (0..<count).map { directory + "/threads-\($0)" }
        logs = try paths.map { path in
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

    func remove() {
        for log in logs { _ = try? log.close() }
        for path in paths { try? FileManager.default.removeItem(atPath: path) }
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
