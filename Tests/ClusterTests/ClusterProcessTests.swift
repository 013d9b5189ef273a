import Foundation
import TallyReplication
import TallyStateStore
import TallyTestSupport
import Testing

/// Several real processes on one `cluster.db`, killed and stopped.
@Suite("Processes that share cluster.db", .serialized, .timeLimit(.minutes(5)))
struct ClusterProcessTests {
    @Test("of processes that compare and swap at the same time none loses anything")
    func competing() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        let path = directory.path("cluster.db")
        let processes = try (0..<3).map { _ in
            try ClusterProcess("increment", path, "60", in: directory.path)
        }
        for process in processes { #expect(await process.finish()) }
        let store = try SQLiteCoordinationStore(path: path)
        let entry = try await store.read(prefix: "counter").entry(of: "counter")
        #expect(entry.map { String(decoding: $0.value, as: UTF8.self) } == "180")
        await store.close()
    }

    @Test("processes that open it at the same moment make it once")
    func openedTogether() async throws {
        for _ in 0..<10 {
            let directory = try TemporaryDirectory()
            defer { directory.close() }
            let path = directory.path("cluster.db")
            let processes = try (0..<4).map { _ in
                try ClusterProcess("increment", path, "1", in: directory.path)
            }
            for process in processes { #expect(await process.finish()) }
        }
    }

    @Test("what was acknowledged to a process that is killed is there, whole, and at most one more")
    func killedWriter() async throws {
        var generator = TallyTestSupport.SeededGenerator.fromEnvironment()
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        let path = directory.path("cluster.db")
        var acknowledged = 0
        for _ in 0..<8 {
            let process = try ClusterProcess("put", path, in: directory.path)
            try await process.waitForLine()
            try await Task.sleep(for: .milliseconds(.random(in: 0..<60, using: &generator)))
            process.end()
            acknowledged = process.lines.last.flatMap { Int($0) } ?? acknowledged
            let store = try SQLiteCoordinationStore(path: path)
            let snapshot = try await store.read(prefix: "")
            let number = try #require(snapshot.entry(of: "number"))
            let found = try #require(Int(String(decoding: number.value, as: UTF8.self)))
            #expect(found == acknowledged || found == acknowledged + 1)
            let half = snapshot.entry(of: "half/\(found % 7)")
            #expect(half?.value == number.value)
            #expect(half?.modificationRevision == number.modificationRevision)
            #expect(number.modificationRevision == snapshot.revision)
            // One revision a number, since the first.
            #expect(snapshot.revision == CoordinationRevision(Int64(found) + 1))
            await store.close()
            acknowledged = found
        }
        #expect(acknowledged > 8)
    }

    @Test("a process that is killed loses its key when its lease ends, and not before")
    func killedHolder() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        _ = try await holder(in: directory) { $0.end() }
    }

    @Test("a process that is stopped for longer than its lease loses it, and hears of it")
    func stoppedHolder() async throws {
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        let process = try await holder(in: directory) { $0.signal(SIGSTOP) }
        #expect(process.lines == ["held"])
        process.signal(SIGCONT)
        try await process.waitForLine("lost")
    }

    /// Ends a process that holds a key, and watches the key go.
    private func holder(
        in directory: TemporaryDirectory, _ end: (ClusterProcess) -> Void
    ) async throws -> ClusterProcess {
        let path = directory.path("cluster.db")
        let process = try ClusterProcess("hold", path, "members/1", "4", in: directory.path)
        try await process.waitForLine("held")
        let store = try SQLiteCoordinationStore(path: path)
        let snapshot = try await store.read(prefix: "members/")
        #expect(snapshot.entries.count == 1)
        // Kept alive for longer than it was granted for.
        try await Task.sleep(for: .seconds(5))
        #expect(try await store.read(prefix: "members/") == snapshot)
        // Its last keep-alive was up to a third of the time ago, or some more on a busy machine.
        let begun = ContinuousClock.now
        end(process)
        var iterator = store.watch(prefix: "members/", after: snapshot.revision)
            .makeAsyncIterator()
        let batch = try await iterator.next()
        let duration = ContinuousClock.now - begun
        #expect(batch?.changes.map(\.key) == ["members/1"])
        #expect(duration > .milliseconds(500) && duration < .seconds(20), "\(duration)")
        print("cluster.db: the key of a lease of 4 s went \(duration) after its holder")
        await store.close()
        return process
    }

    @Test("no process believes to hold a key when another does, however they are stopped")
    func oneOwner() async throws {
        var generator = TallyTestSupport.SeededGenerator.fromEnvironment()
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        let path = directory.path("cluster.db")
        var processes: [ClusterProcess] = []
        for number in 0..<3 {
            processes.append(
                try ClusterProcess("own", path, "p\(number)", "1", in: directory.path))
        }
        try await ClusterProcess.waitForAny(of: processes)
        // Whatever chance does below, it has more than one owner.
        for number in 0..<3 {
            processes[number].end()
            processes.append(
                try ClusterProcess("own", path, "q\(number)", "1", in: directory.path))
            processes.swapAt(number, processes.count - 1)
        }
        try await ClusterProcess.waitForAny(of: Array(processes[..<3]))
        for _ in 0..<8 {
            let chosen = Int.random(in: 0..<3, using: &generator)
            switch Int.random(in: 0..<3, using: &generator) {
            case 0:
                processes[chosen].end()
                let name = "p\(processes.count)"
                processes.append(try ClusterProcess("own", path, name, "1", in: directory.path))
                processes.swapAt(chosen, processes.count - 1)
            default:
                processes[chosen].signal(SIGSTOP)
                try await Task.sleep(for: .milliseconds(.random(in: 300...1500, using: &generator)))
                processes[chosen].signal(SIGCONT)
            }
            try await Task.sleep(for: .milliseconds(.random(in: 100...500, using: &generator)))
        }
        for process in processes { process.end() }
        let claims = processes.flatMap(\.claims).sorted {
            ($0.moment, $0.revision) < ($1.moment, $1.revision)
        }
        var last = try #require(claims.first)
        for claim in claims {
            // Whoever came later holds it; nobody who came before says so any more.
            #expect(claim.revision >= last.revision, "\(last) and then \(claim)")
            if claim.revision == last.revision { #expect(claim.owner == last.owner) }
            last = claim
        }
        let owners = Set(claims.map(\.revision)).count
        print("cluster.db: \(claims.count) moments of \(owners) terms")
        #expect(owners > 1)
    }
}
