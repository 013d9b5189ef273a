import Foundation
import Synchronization
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Appends, reads and cleanings at the same time, on real threads.
@Suite("Beside a running cleaner", .timeLimit(.minutes(10)))
struct ConcurrentCleaningTests {
    private static let keyCount = 8

    /// What the threads tell each other.
    private struct State {
        var isOver = false
        var failures: [String] = []
        /// The latest value of each key that is known to be in the log, with its offset.
        var latest: [Int: (offset: Int64, value: String)] = [:]
        var readCount = 0
        var cleaningCount = 0
        var removedCount = 0
    }

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    @Test("readers see no error, miss no latest value, and offsets never fall")
    func together() throws {
        let directory = try TemporaryDirectory()
        var harness = KeyedLog(PosixFileSystem())
        harness.directory = directory.path("t-0")
        harness.configuration.segmentBytesMax = 2_000
        harness.configuration.durability = .buffered
        try harness.files.createDirectory(harness.directory)
        let log = try harness.open()
        let shared = Shared()
        let cleaner = harness
        // Mostly it is over much earlier, once everybody has done enough.
        let end = ContinuousClock.now + .seconds(60)
        let work: [@Sendable () throws -> Void] = [
            { try Self.append(to: log, until: end, shared) },
            { try Self.clean(log, cleaner, shared) },
            { try Self.read(log, shared) },
            { try Self.lookUp(log, shared) },
        ]
        // Threads of their own, however few processors there are.
        let group = DispatchGroup()
        for (index, body) in work.enumerated() {
            group.enter()
            Thread.detachNewThread {
                defer { group.leave() }
                do {
                    try body()
                } catch {
                    shared.state.withLock { shared in
                        shared.isOver = true
                        shared.failures.append("\(index): \(error)")
                    }
                }
            }
        }
        group.wait()
        let result = shared.state.withLock { $0 }
        #expect(result.failures == [])
        #expect(result.readCount > 8)
        #expect(result.cleaningCount > 8)
        #expect(result.removedCount > 100)
        _ = try log.close()
        #expect(try harness.leftOvers() == [])
        withExtendedLifetime(directory) {}
    }

    private static func isOver(_ shared: Shared) -> Bool {
        shared.state.withLock { $0.isOver }
    }

    private static func append(
        to log: PartitionLog, until end: ContinuousClock.Instant, _ shared: Shared
    ) throws {
        var number = 0
        while ContinuousClock.now < end, !isOver(shared) {
            let (key, value) = (number % keyCount, "\(number)")
            let offset = try log.put("\(key)", value).baseOffset.rawValue
            shared.state.withLock { $0.latest[key] = (offset, value) }
            number += 1
            if number % 50 == 0 { try log.roll() }
            if number % 200 == 0, try !waitForOthers(shared) { break }
        }
        shared.state.withLock { $0.isOver = true }
    }

    /// Lets the cleaner and the readers keep up; false once they have done enough.
    private static func waitForOthers(_ shared: Shared) throws -> Bool {
        let before = shared.state.withLock { ($0.cleaningCount, $0.readCount, $0.removedCount) }
        if before.0 > 8, before.1 > 8, before.2 > 100 { return false }
        for _ in 0..<1000 where !isOver(shared) {
            let now = shared.state.withLock { ($0.cleaningCount, $0.readCount) }
            if now.0 > before.0, now.1 > before.1 { break }
            Thread.sleep(forTimeInterval: 0.001)
        }
        return true
    }

    private static func clean(
        _ log: PartitionLog, _ harness: KeyedLog, _ shared: Shared
    ) throws {
        while !isOver(shared) {
            let report = try harness.clean(log, now: 0)
            log.removeRetiredFiles(now: .now)
            shared.state.withLock { shared in
                shared.cleaningCount += 1
                shared.removedCount += report.removedRecordCount
            }
        }
    }

    /// Reads from the beginning again and again.
    private static func read(_ log: PartitionLog, _ shared: Shared) throws {
        while !isOver(shared) {
            let known = shared.state.withLock { $0.latest }
            var found: [Int: Int64] = [:]
            var last: Int64 = -1
            for (offset, entry) in try log.committed(bytesMax: 900) {
                guard offset.rawValue > last else { throw Wrong("\(offset) after \(last)") }
                last = offset.rawValue
                let key = Int(String(decoding: entry.key, as: UTF8.self)) ?? -1
                let value = String(decoding: entry.value ?? [], as: UTF8.self)
                if let expected = known[key], expected.offset == last, expected.value != value {
                    throw Wrong("\(value) for \(expected)")
                }
                found[key] = last
            }
            for (key, expected) in known where found[key] ?? -1 < expected.offset {
                throw Wrong("of key \(key), \(expected) is missing")
            }
            shared.state.withLock { $0.readCount += 1 }
        }
    }

    /// Looks offsets and times up.
    private static func lookUp(_ log: PartitionLog, _ shared: Shared) throws {
        while !isOver(shared) {
            let end = log.highWatermark
            guard end > .zero else { continue }
            let offset = Offset(Int64.random(in: 0..<end.rawValue))
            let slice = try log.read(from: offset, bytesMax: 1)
            guard slice.map({ $0.nextOffset > offset }) ?? true else {
                throw Wrong("\(offset) was read, up to \(slice?.nextOffset as Any)")
            }
            _ = try log.offset(forTimestamp: Timestamp(milliseconds: 0))
            _ = try log.abortedTransactions(in: .zero..<end)
        }
    }

    private struct Wrong: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }
}
