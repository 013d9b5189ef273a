import Foundation
import TallyFiles
import TallyReplication
import TallyStateStore

/// The processes that share a `cluster.db` in tests, and are killed and stopped there.
///
///     put PATH             puts one number after the other, and says each that was acknowledged
///     increment PATH N     adds N times one to the key `counter`
///     hold PATH KEY S      holds KEY with a lease of S seconds, and says so
///     own PATH NAME S      wants the key `controller` for ever, with leases of S seconds, and says
///                          each moment at which it believes to have it
@main
enum ClusterChild {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3 else { fatalError("usage: put|increment|hold|own PATH ...") }
        let store = try SQLiteCoordinationStore(path: arguments[2])
        switch (arguments[1], arguments.count) {
        case ("put", 3): try await put(store)
        case ("increment", 4): try await increment(store, Int(arguments[3]) ?? 0)
        case ("hold", 5): try await hold(store, arguments[3], Int64(arguments[4]) ?? 1)
        case ("own", 5): try await own(store, arguments[3], Int64(arguments[4]) ?? 1)
        default: fatalError("unknown: \(arguments)")
        }
    }

    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private static func now() -> CoordinationInstant {
        CoordinationInstant(milliseconds: MachineClock.milliseconds)
    }

    private static func put(_ store: SQLiteCoordinationStore) async throws {
        let entry = try await store.read(prefix: "number").entry(of: "number")
        var number = entry.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
        while true {
            number += 1
            // Two keys: both are there afterwards, or none.
            let value = Array("\(number)".utf8)
            _ = try await store.commit(
                CoordinationTransaction(operations: [
                    .put(key: "number", value: value),
                    .put(key: "half/\(number % 7)", value: value),
                ]))
            say("\(number)")
        }
    }

    private static func increment(_ store: SQLiteCoordinationStore, _ count: Int) async throws {
        for _ in 0..<count {
            while true {
                let entry = try await store.read(prefix: "counter").entry(of: "counter")
                let number = entry.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) } ?? 0
                let transaction = try CoordinationTransaction(
                    conditions: [
                        .modified(key: "counter", revision: entry?.modificationRevision ?? .absent)
                    ], operations: [.put(key: "counter", value: Array("\(number + 1)".utf8))])
                if try await store.commit(transaction) != .conflict { break }
            }
        }
    }

    private static func hold(
        _ store: SQLiteCoordinationStore, _ key: String, _ seconds: Int64
    ) async throws {
        let lease = try await store.grantLease(seconds: seconds)
        _ = try await store.commit(
            CoordinationTransaction(operations: [.put(key: key, value: [], lease: lease.id)]))
        say("held")
        while true {
            try await Task.sleep(for: .milliseconds(1000 * lease.seconds / 3))
            do throws(CoordinationError) {
                _ = try await store.keepAlive(lease.id)
            } catch .leaseNotFound {
                return say("lost")
            }
        }
    }

    private static func own(
        _ store: SQLiteCoordinationStore, _ name: String, _ seconds: Int64
    ) async throws {
        while true {
            var asked = now()
            let lease = try await store.grantLease(seconds: seconds)
            var term = LeaseTerm(lease, asked: asked)
            let outcome = try await store.commit(
                CoordinationTransaction(
                    conditions: [.absent(key: "controller")],
                    operations: [
                        .put(key: "controller", value: Array(name.utf8), lease: lease.id)
                    ]))
            guard case .success(let revision) = outcome else {
                try await store.revoke(lease.id)
                try await Task.sleep(for: .milliseconds(20))
                continue
            }
            var renewal = asked
            while true {
                let moment = now()
                guard term.isValid(at: moment) else { break }
                say("\(moment.milliseconds) \(revision) \(name)")
                if moment >= renewal.advanced(byMilliseconds: term.renewalIntervalMilliseconds) {
                    asked = now()
                    renewal = asked
                    guard let kept = try? await store.keepAlive(lease.id) else { break }
                    term.renew(kept, asked: asked)
                }
                try await Task.sleep(for: .milliseconds(3))
            }
        }
    }
}
