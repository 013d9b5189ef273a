import Foundation
import Logging
import Synchronization
import TallyLog
import TallyRecords

/// What an engine does by the clock: syncs of `.interval` topics, seals of rolled segments,
/// checkpoints of recovery points, and the lag of groups. One thread of its own, asleep most of the
/// time.
///
/// Thread rule: `start` once, `stop` from any thread.
final class Housekeeper: Sendable {
    private let condition = NSCondition()
    private let isStopped = Atomic<Bool>(false)
    /// Logs whose flush is under way: a slow disk must not gather jobs, each of which takes a
    /// thread.
    private let flushing = Mutex<Set<ObjectIdentifier>>([])
    /// Whether retention is under way.
    private let isRetiring = Atomic<Bool>(false)
    /// Whether compacted logs are looked at.
    private let isSurveying = Atomic<Bool>(false)
    /// Whether the lag of groups is looked at.
    private let isTellingLags = Atomic<Bool>(false)

    /// Begins. The engine is not kept alive by it.
    func start(for engine: Engine) {
        let thread = Thread { [self, weak engine] in
            var rounds = Rounds()
            while !isStopped.load(ordering: .acquiring),
                let pause = rounds.next(engine, flush, retire, compact, tellLags)
            {
                condition.lock()
                if !isStopped.load(ordering: .acquiring) {
                    _ = condition.wait(until: Date(timeIntervalSinceNow: pause))
                }
                condition.unlock()
            }
        }
        thread.name = "tally-clock"
        thread.stackSize = 256 << 10
        thread.start()
    }

    /// Syncs on a worker, unless that is being done. An error has stopped the partition and
    /// reaches whoever appends next.
    private func flush(_ log: PartitionLog, _ engine: Engine) {
        let id = ObjectIdentifier(log)
        guard flushing.withLock({ $0.insert(id).inserted }) else { return }
        // The engine is held until it is done: so is the directory's lock.
        engine.workers.submit { [self, engine] in
            try? log.flush()
            flushing.withLock { _ = $0.remove(id) }
            withExtendedLifetime(engine) {}
        }
    }

    /// Starts cleaning what is due, on threads for long work.
    private func compact(_ engine: Engine) {
        guard !isSurveying.exchange(true, ordering: .acquiringAndReleasing) else { return }
        engine.longWorkers.submit { [self, engine] in
            engine.surveyCompaction()
            engine.compactor.start(for: engine)
            isSurveying.store(false, ordering: .releasing)
            withExtendedLifetime(engine) {}
        }
    }

    /// Tells the metrics how far groups are behind.
    private func tellLags(_ engine: Engine) {
        guard !isTellingLags.exchange(true, ordering: .acquiringAndReleasing) else { return }
        Task {
            await engine.recordGroupLags()
            engine.recordLogs()
            isTellingLags.store(false, ordering: .releasing)
        }
    }

    /// Retires what is due on a thread for long work, unless that is being done.
    private func retire(_ engine: Engine, _ isCheckDue: Bool) {
        guard !isRetiring.exchange(true, ordering: .acquiringAndReleasing) else { return }
        engine.longWorkers.submit { [self, engine] in
            if isCheckDue { engine.enforceRetention(now: .now) }
            engine.removeRetiredFiles()
            isRetiring.store(false, ordering: .releasing)
            withExtendedLifetime(engine) {}
        }
    }

    /// Ends it soon.
    func stop() {
        isStopped.store(true, ordering: .releasing)
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }
}

/// The housekeeper's rounds and what it remembers between them. Used by its one thread.
private struct Rounds {
    /// The longest nap, in seconds.
    private static let pauseMax: TimeInterval = 1
    private var lastSync: [ObjectIdentifier: ContinuousClock.Instant] = [:]
    private var lastCheckpoint = ContinuousClock.now
    private var checkpointed: [Offset] = []
    private var lastRetention = ContinuousClock.now
    private var lastCompaction = ContinuousClock.now
    private static let lagInterval = Duration.seconds(10)
    private var lastLags = ContinuousClock.now

    /// One round. Returns how long to sleep; nil when the engine is gone.
    mutating func next(
        _ engine: Engine?, _ flush: (PartitionLog, Engine) -> Void,
        _ retire: (Engine, Bool) -> Void, _ compact: (Engine) -> Void,
        _ tellLags: (Engine) -> Void
    ) -> TimeInterval? {
        guard let engine else { return nil }
        let now = ContinuousClock.now
        var pause = Self.pauseMax
        // Only logs that are still there are remembered.
        var syncs: [ObjectIdentifier: ContinuousClock.Instant] = [:]
        for partition in engine.partitions {
            guard let log = partition.onlineLog else { continue }
            if log.hasSegmentToSeal { flush(log, engine) }
            guard case .interval(let milliseconds) = log.durability else { continue }
            // Half the interval, so that the promise holds although rounds and syncs take time.
            let half = Duration.milliseconds(max(milliseconds / 2, 1))
            pause = min(pause, TimeInterval(max(milliseconds / 2, 1)) / 1000)
            let id = ObjectIdentifier(log)
            syncs[id] = lastSync[id]
            if now - (lastSync[id] ?? now - half) >= half, log.hasUnsyncedAppends {
                syncs[id] = now
                flush(log, engine)
            }
        }
        lastSync = syncs
        checkpointIfDue(engine, now)
        retireIfDue(engine, now, retire)
        compactIfDue(engine, now, compact)
        if now - lastLags >= Self.lagInterval {
            lastLags = now
            tellLags(engine)
            // Readers let go of files when they like, and not when a retention is due.
            engine.recordUnlinkedBytes()
        }
        return pause
    }

    private mutating func compactIfDue(
        _ engine: Engine, _ now: ContinuousClock.Instant, _ compact: (Engine) -> Void
    ) {
        let interval = Duration.milliseconds(engine.configuration.cleanerBackoffMilliseconds)
        guard engine.configuration.isCleanerEnabled, now - lastCompaction >= interval else {
            return
        }
        lastCompaction = now
        if engine.partitions.contains(where: { $0.onlineLog?.isCompacting ?? false }) {
            compact(engine)
        }
    }

    private mutating func retireIfDue(
        _ engine: Engine, _ now: ContinuousClock.Instant, _ retire: (Engine, Bool) -> Void
    ) {
        let interval = Duration.milliseconds(
            engine.configuration.retentionCheckIntervalMilliseconds)
        let isCheckDue = now - lastRetention >= interval
        if isCheckDue { lastRetention = now }
        let hasRetiredFiles = engine.partitions.contains {
            $0.onlineLog?.hasRetiredFiles ?? false
        }
        if isCheckDue || hasRetiredFiles { retire(engine, isCheckDue) }
    }

    private mutating func checkpointIfDue(_ engine: Engine, _ now: ContinuousClock.Instant) {
        let interval = Duration.milliseconds(engine.configuration.checkpointIntervalMilliseconds)
        guard now - lastCheckpoint >= interval else { return }
        lastCheckpoint = now
        engine.reserve.hold()
        let points = engine.partitions.map { $0.onlineLog?.recoveryPoint ?? .zero }
        guard points != checkpointed else { return }
        do {
            try engine.writeCheckpoints()
            checkpointed = points
        } catch {
            engine.configuration.logger.warning(
                "The checkpoints could not be written; the next round tries again: \(error)")
        }
    }
}
