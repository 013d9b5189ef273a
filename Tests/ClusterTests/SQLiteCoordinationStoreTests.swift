import Foundation
import GRDB
import Synchronization
import TallyReplication
import TallyTestSupport
import Testing

@testable import TallyStateStore

@Suite("cluster.db", .timeLimit(.minutes(2)))
struct SQLiteCoordinationStoreTests {
    /// A clock that tests set.
    private final class Clock: Sendable {
        private let milliseconds = Mutex<Int64>(1_000_000)
        func advance(_ count: Int64) { milliseconds.withLock { $0 += count } }
        func named(_ name: String) -> ClusterClock {
            ClusterClock(name: name) {
                CoordinationInstant(milliseconds: self.milliseconds.withLock { $0 })
            }
        }
    }

    private func open(
        _ directory: TemporaryDirectory, _ clock: Clock, boot: String = "boot 1"
    ) throws -> SQLiteCoordinationStore {
        try SQLiteCoordinationStore(
            path: directory.path("cluster.db"), pollMilliseconds: 5, clock: clock.named(boot))
    }

    private func put(_ key: String, lease: LeaseID? = nil) throws -> CoordinationTransaction {
        try CoordinationTransaction(operations: [.put(key: key, value: [], lease: lease)])
    }

    @Test("what was committed is there when it is opened again, and no lease is named twice")
    func reopened() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let store = try open(directory, clock)
        let first = try await store.grantLease(seconds: 10)
        _ = try await store.commit(put("a", lease: first.id))
        _ = try await store.commit(put("b"))
        try await store.revoke(first.id)
        let begun = try await store.read(prefix: "")
        await store.close()
        await #expect(throws: CoordinationError.self) { try await store.read(prefix: "") }
        let again = try open(directory, clock)
        #expect(try await again.read(prefix: "") == begun)
        #expect(try await again.grantLease(seconds: 10).id > first.id)
        await again.close()
    }

    @Test("leases begin anew when the machine was started anew, and end by the new clock")
    func restartedMachine() async throws {
        let (directory, before) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let store = try open(directory, before)
        let lease = try await store.grantLease(seconds: 10)
        _ = try await store.commit(put("a", lease: lease.id))
        before.advance(9_000)
        // The new clock is far ahead: by it the lease would have ended long ago.
        let after = Clock()
        after.advance(100_000_000)
        let other = try open(directory, after, boot: "boot 2")
        #expect(try await other.read(prefix: "").entries.count == 1)
        after.advance(9_999)
        #expect(try await other.read(prefix: "").entries.count == 1)
        #expect(try await other.keepAlive(lease.id) == lease)
        after.advance(10_000)
        #expect(try await other.read(prefix: "").entries.isEmpty)
        await #expect(throws: CoordinationError.leaseNotFound(lease.id)) {
            try await other.keepAlive(lease.id)
        }
        await store.close()
        await other.close()
    }

    @Test("a clock that went back does not keep a lease for longer than it was granted for")
    func clockWentBack() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let store = try open(directory, clock)
        let lease = try await store.grantLease(seconds: 10)
        _ = try await store.commit(put("a", lease: lease.id))
        clock.advance(-900_000)
        _ = try await store.commit(put("b"))
        clock.advance(9_999)
        #expect(try await store.read(prefix: "").entries.count == 2)
        clock.advance(1)
        #expect(try await store.read(prefix: "").entries.map(\.key) == ["b"])
        await store.close()
    }

    @Test("a lease ends for watchers though nobody calls")
    func watchedLease() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let (owner, watcher) = (try open(directory, clock), try open(directory, clock))
        let lease = try await owner.grantLease(seconds: 10)
        guard case .success(let put) = try await owner.commit(put("a", lease: lease.id)) else {
            Issue.record("a conflict")
            return
        }
        let task = Task {
            var iterator = watcher.watch(prefix: "", after: put).makeAsyncIterator()
            return try await iterator.next()
        }
        try await Task.sleep(for: .milliseconds(50))
        clock.advance(10_000)
        #expect(try await task.value?.changes.map(\.key) == ["a"])
        await owner.close()
        await watcher.close()
    }

    @Test("the history is bounded")
    func history() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let store = try open(directory, clock)
        let count = 2 * ClusterTransaction.historyRevisionsMax + 10
        let database = try ClusterDatabase(
            path: directory.path("cluster.db"), clock: clock.named("boot 1"))
        _ = try database.write { transaction in
            for _ in 0..<count {
                _ = try transaction.commit(put("k"))
            }
            return .success(())
        }
        database.close()
        let snapshot = try await store.read(prefix: "")
        #expect(snapshot.revision.rawValue == count + 1)
        let oldest = CoordinationRevision(count + 1 - ClusterTransaction.historyRevisionsMax)
        let error = CoordinationError.compacted(revision: .init(1), oldest: oldest)
        await #expect(throws: error) {
            for try await _ in store.watch(prefix: "", after: .init(1)) {}
        }
        // In pieces, none left out.
        var revisions: [Int64] = []
        for try await batch in store.watch(prefix: "", after: oldest) {
            #expect(batch.changes.count <= 1001)
            revisions += batch.changes.map(\.revision.rawValue)
            if batch.revision == snapshot.revision { break }
        }
        #expect(revisions == Array(oldest.rawValue + 1...snapshot.revision.rawValue))
        await store.close()
    }

    @Test("a file of a newer version is refused, and one of another program")
    func refused() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        await (try open(directory, clock)).close()
        let queue = try DatabaseQueue(path: directory.path("cluster.db"))
        try await queue.write { connection in
            try connection.execute(sql: "INSERT INTO grdb_migrations VALUES ('999-later')")
        }
        try queue.close()
        let newer = #expect(throws: CoordinationError.self) { try open(directory, clock) }
        guard case .newerVersion(let reason)? = newer, reason.contains("999-later") else {
            Issue.record("\(String(describing: newer))")
            return
        }
        let other = try TemporaryDirectory()
        defer { other.close() }
        let foreign = try DatabaseQueue(path: other.path("cluster.db"))
        try await foreign.write { try $0.execute(sql: "CREATE TABLE theirs (a)") }
        try foreign.close()
        let error = #expect(throws: CoordinationError.self) { try open(other, clock) }
        guard case .corrupt(let reason)? = error, reason.contains("another program") else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a damaged file is a typed error, wherever the damage is")
    func damaged() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let store = try open(directory, clock)
        let lease = try await store.grantLease(seconds: 10)
        for number in 0..<200 { _ = try await store.commit(put("key/\(number)", lease: lease.id)) }
        await store.close()
        let path = directory.path("cluster.db")
        let sound = try Data(contentsOf: URL(fileURLWithPath: path))
        var generator = TallyTestSupport.SeededGenerator.fromEnvironment()
        var refusals = 0
        for round in 0..<60 {
            var bytes = sound
            let first = round == 0 ? 0 : Int.random(in: 0..<bytes.count, using: &generator)
            for position in first..<min(first + 600, bytes.count) {
                bytes[position] = UInt8.random(in: 0...255, using: &generator)
            }
            for suffix in ["-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: path + suffix)
            }
            try bytes.write(to: URL(fileURLWithPath: path))
            do {
                let store = try open(directory, clock)
                defer { Task { await store.close() } }
                _ = try await store.read(prefix: "")
                _ = try await store.keepAlive(lease.id)
                let transaction = try CoordinationTransaction(
                    operations: (0..<100).map { .put(key: "key/\($0)", value: [1]) })
                _ = try await store.commit(transaction)
                try await store.revoke(lease.id)
            } catch {
                refusals += 1
                // The first round takes the header.
                if case CoordinationError.corrupt = error { continue }
                #expect(round > 0 && error is CoordinationError, "\(error)")
            }
        }
        #expect(refusals > 5)
    }

    @Test("a lock that another process holds is told in the end")
    func locked() async throws {
        let (directory, clock) = (try TemporaryDirectory(), Clock())
        defer { directory.close() }
        let store = try open(directory, clock)
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(
            path: directory.path("cluster.db"), configuration: configuration)
        try await other.writeWithoutTransaction { connection in
            try connection.execute(sql: "BEGIN IMMEDIATE")
        }
        let begun = ContinuousClock.now
        let transaction = try put("a")
        let error = await #expect(throws: CoordinationError.self) {
            try await store.commit(transaction)
        }
        guard case .unavailable(let reason)? = error, reason.contains("another process") else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(ContinuousClock.now - begun < .seconds(30))
        // Readers do not wait for it.
        #expect(try await store.read(prefix: "").entries.isEmpty)
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        #expect(try await store.commit(transaction) != .conflict)
        try other.close()
        await store.close()
    }
}
