import Glibc
import Logging
import Synchronization
import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

/// Several partitions of an engine that did not stop in order.
@Suite("Partitions recover side by side", .timeLimit(.minutes(10)))
struct ParallelRecoveryTests {
    private static let topics = ["a", "b"]

    /// What a killed process leaves of two topics with two partitions each.
    private func crashed() async throws -> SimulatedFileSystem {
        let files = SimulatedFileSystem(directories: ["/data"])
        let engine = try await Engine.open(on: files)
        let producer = try engine.producer()
        for topic in Self.topics {
            try await engine.createTopic(topic, partitions: 2)
            for number in 0..<40 {
                let record = ProducerRecord(
                    topic: topic, partition: Int32(number % 2), key: nil as String?,
                    value: "\(topic) \(number)")
                _ = try await producer.send(record)
            }
        }
        // What the engine does from now on is done to no file any more.
        defer { Task { try? await engine.close() } }
        return files.processCrash()
    }

    private func expectAll(_ engine: Engine) async throws {
        for topic in Self.topics {
            let values = try await engine.values(of: topic)
            for partition in 0..<2 {
                let expected = stride(from: partition, to: 40, by: 2).map { "\(topic) \($0)" }
                #expect(values[Int32(partition)] == expected, "\(topic)-\(partition)")
            }
        }
    }

    @Test("none of four comes to its end before all are under way, and the opening says so")
    func together() async throws {
        let files = try await crashed()
        // What the process was writing when it was killed.
        let torn = try files.open("/data/b-1/00000000000000000000.log", .write)
        let end = Int64(try torn.byteCount())
        try torn.write(all: [UInt8](repeating: 7, count: 40).rawSpan, at: end)

        let messages = Messages()
        let meeting = MeetingFileSystem(files) { present in
            present.count == 4
                && messages.all.contains {
                    $0.hasPrefix("opening: 0 of 4 partitions in ")
                        && $0.hasSuffix("at work on a-0, a-1, b-0 and 1 more")
                }
        }
        var configuration = EngineConfiguration()
        configuration.openProgressIntervalMilliseconds = 2
        configuration.logger = Logger(label: "test") { _ in MessageHandler(messages: messages) }
        let engine = try await Engine.open(on: meeting, configuration: configuration)
        #expect(!meeting.wasGivenUp, "\(meeting.present) met, and was told: \(messages.all)")
        #expect(meeting.present == ["/data/a-0", "/data/a-1", "/data/b-0", "/data/b-1"])
        let recoveries = try engine.partitions.map { try $0.log.recovery }
        #expect(recoveries.count == 4)
        #expect(recoveries.allSatisfy { !$0.wasClean && $0.scannedByteCount > 0 })
        #expect(recoveries.map(\.cutByteCount).sorted() == [0, 0, 0, 40])
        let scanned = recoveries.reduce(0) { $0 + $1.scannedByteCount }
        let summary = messages.all.last { $0.hasPrefix("opened ") }
        #expect(
            summary?.hasSuffix(
                " s: 4 after an unclean stop, \(scanned) bytes scanned, 40 cut off; 0 offline")
                == true, "\(summary ?? "nothing")")
        try await expectAll(engine)
        try await engine.close()
    }

    @Test("one that cannot be opened fails the opening once the others are through, not before")
    func failing() async throws {
        let files = try await crashed()
        let meeting = MeetingFileSystem(files) { $0.count == 4 }
        files.plan(Fault(.error(EIO), on: .open, pathSuffix: "a-1/00000000000000000000.log"))
        await #expect(throws: LogError.self) { try await Engine.open(on: meeting) }
        #expect(!meeting.wasGivenUp && files.faultsHit == 1)
        // Nobody is at work there any more: the next one has the lock, and all of it.
        let calls = files.callCount
        try await Task.sleep(for: .milliseconds(20))
        #expect(files.callCount == calls)
        let engine = try await Engine.open(on: files)
        try await expectAll(engine)
        try await engine.close()
    }
}

/// A file system on which nobody gets beyond opening the log of a partition before those are there
/// who are waited for.
private final class MeetingFileSystem: FileSystem {
    private let files: SimulatedFileSystem
    private let isComplete: @Sendable (_ present: Set<String>) -> Bool
    private let state = Mutex((present: Set<String>(), wasGivenUp: false))

    /// - Parameter isComplete: whether it goes on, when these partitions are there.
    init(
        _ files: SimulatedFileSystem,
        until isComplete: @escaping @Sendable (_ present: Set<String>) -> Bool
    ) {
        self.files = files
        self.isComplete = isComplete
    }

    /// The directories of the partitions that came.
    var present: Set<String> { state.withLock { $0.present } }

    /// Whether somebody went on without the others, for it took too long.
    var wasGivenUp: Bool { state.withLock { $0.wasGivenUp } }

    private func meet(_ directory: String) {
        state.withLock { _ = $0.present.insert(directory) }
        let limit = ContinuousClock.now + .seconds(60)
        while !isComplete(present) {
            if wasGivenUp || ContinuousClock.now > limit {
                return state.withLock { $0.wasGivenUp = true }
            }
            usleep(1_000)
        }
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        if path.hasSuffix("/00000000000000000000.log") { meet(parentDirectory(of: path)) }
        return try files.open(path, mode)
    }

    func list(_ directory: String) throws(FileError) -> [String] { try files.list(directory) }

    func information(_ path: String) throws(FileError) -> FileInformation? {
        try files.information(path)
    }

    func rename(_ source: String, to destination: String) throws(FileError) {
        try files.rename(source, to: destination)
    }

    func remove(_ path: String) throws(FileError) { try files.remove(path) }
    func createDirectory(_ path: String) throws(FileError) { try files.createDirectory(path) }
    func removeDirectory(_ path: String) throws(FileError) { try files.removeDirectory(path) }
    func syncDirectory(_ path: String) throws(FileError) { try files.syncDirectory(path) }

    func lock(_ path: String, contents: String) throws(FileLockError) -> any FileLock {
        try files.lock(path, contents: contents)
    }

    func copyPrefix(
        of source: String, byteCount: Int64, to destination: String
    ) throws(FileError) {
        try files.copyPrefix(of: source, byteCount: byteCount, to: destination)
    }
}
