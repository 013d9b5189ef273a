import Synchronization
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@testable import Tally

@Suite("What coordinators have recorded", .timeLimit(.minutes(1)))
struct CoordinationJournalTests {
    /// Replicas of which nobody may be told anything for a while: the member's lease has ended.
    private final class Replicas: LogReplication {
        private let isServing = Mutex(true)

        func serve(_ isServing: Bool) { self.isServing.withLock { $0 = isServing } }
        func logHasMore() {}
        func isCommitted(before end: Offset, in epoch: LeaderEpoch) -> Bool { false }

        func checkAppend(forAll: Bool) throws(LogError) {
            guard isServing.withLock({ $0 }) else { throw .notLeader(partition: "p-0") }
        }
    }

    /// A decision was recorded when a member's lease ended, and the member went on to lead in the
    /// same epoch when it had another. What was to be done about the decision was forgotten, so
    /// that the markers of its transaction were never written. The simulator found it.
    @Test("what is to be done is done though the lease had ended for a moment")
    func leaseEnds() async throws {
        let log = try Self.log()
        let replicas = Replicas()
        try log.lead(in: LeaderEpoch(1), replication: replicas)
        let workers = WorkerPool(name: "journal", threadsMax: 1)
        let projected = Mutex<[Int]>([])
        let journal = CoordinationJournal<Int>(
            topic: .transactionState, timeLimit: .seconds(5), lane: SerialLane(on: workers),
            workers: workers)
        journal.begin(
            CoordinationJournal.Surroundings(log: { _ in log }) { changes in
                projected.withLock { $0 += changes }
            })
        try journal.append(
            CoordinationJournal.Entry(
                partition: 0, records: [CoordinatorRecord(key: [1], value: [2])], changes: [7]))
        let done = Mutex<[String]>([])
        journal.whenCommitted(0, hasTimeLimit: false) { _ in done.withLock { $0.append("before") } }
        replicas.serve(false)
        log.raiseHighWatermark(to: log.logEnd)
        journal.whenCommitted(0, hasTimeLimit: false) { _ in done.withLock { $0.append("while") } }
        // Whoever waits for an answer is told at once.
        let failure = await withCheckedContinuation { continuation in
            journal.whenCommitted(0) { continuation.resume(returning: $0) }
        }
        #expect(failure == .notCoordinator)
        #expect(done.withLock { $0.isEmpty } && projected.withLock { $0.isEmpty })
        replicas.serve(true)
        while done.withLock({ $0.count }) < 2 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(done.withLock { $0 } == ["before", "while"])
        #expect(projected.withLock { $0 } == [7])
        journal.stop()
    }

    @Test("what a coordinator knows of an epoch that is over is recorded in none")
    func staleState() throws {
        let log = try Self.log()
        let replicas = Replicas()
        replicas.serve(true)
        try log.lead(in: LeaderEpoch(1), replication: replicas)
        let workers = WorkerPool(name: "journal", threadsMax: 1)
        let journal = CoordinationJournal<Int>(
            topic: .transactionState, timeLimit: .seconds(5), lane: SerialLane(on: workers),
            workers: workers)
        journal.begin(CoordinationJournal.Surroundings(log: { _ in log }) { _ in })
        journal.lead(0, log, in: LeaderEpoch(1))
        let entry = CoordinationJournal<Int>.Entry(
            partition: 0, records: [CoordinatorRecord(key: [1], value: [2])], changes: [7])
        try journal.append(entry)
        #expect(log.logEnd == Offset(1))
        // Somebody else may have led, and written, in epoch 2; news of both come as one.
        log.follow()
        try log.lead(in: LeaderEpoch(3), replication: replicas)
        #expect(throws: LogError.self) { try journal.append(entry) }
        #expect(log.logEnd == Offset(1))
        journal.lead(0, log, in: LeaderEpoch(3))
        try journal.append(entry)
        #expect(log.logEnd == Offset(2))
        journal.stop()
    }

    private static func log() throws -> PartitionLog {
        var configuration = LogConfiguration()
        configuration.isReplicated = true
        configuration.segmentIndexBytesMax = 4096
        return try PartitionLog.open(
            "/data/p-0",
            environment: LogEnvironment(
                fileSystem: SimulatedFileSystem(directories: ["/data", "/data/p-0"]),
                openFilesMax: 10),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: .zero))
    }
}
