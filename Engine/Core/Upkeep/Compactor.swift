import Foundation
import Logging
import Synchronization
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords

/// Cleans the compacted logs of an engine: the dirtiest first, several at a time. A log that
/// fails is marked, and the others go on.
///
/// Thread rule: any thread; cleaning blocks, for as long as it takes.
final class Compactor: Sendable {
    private let data: DataDirectory
    private let configuration: EngineConfiguration
    private let reserve: SpaceReserve
    private let throttle: CompactionThrottle
    private let state: Mutex<State>
    /// Held while the notes are written.
    private let writing = Mutex(())

    private struct State {
        /// Jobs of the background that are at work.
        var jobCount = 0
        /// How many clean a log, or wait for their turn: one in the background, others by hand.
        var running: [String: Int] = [:]
        var histories: [String: CompactionHistory]
        /// Logs that failed in this life, for a reason that time does not mend.
        var isLeftAlone: Set<String> = []

        mutating func noteEnd(of name: String) {
            let count = running[name, default: 1] - 1
            running[name] = count > 0 ? count : nil
        }
    }

    init(data: DataDirectory, reserve: SpaceReserve, configuration: EngineConfiguration) {
        self.data = data
        self.reserve = reserve
        self.configuration = configuration
        throttle = CompactionThrottle(
            bytesPerSecondMax: configuration.cleanerBytesPerSecondMax)
        state = Mutex(
            State(histories: CompactionNotes.read(from: data.path, on: data.fileSystem)))
    }

    /// Ends what is under way soon; nothing begins any more.
    func stop() { throttle.stop() }

    // MARK: In the background

    /// Starts as many jobs as may run and do not run yet. Each cleans what is due, no log twice:
    /// one that is due still, since retention or a truncation came between, waits for the next
    /// round.
    func start(for engine: Engine) {
        let count = state.withLock { state in
            let count = max(configuration.cleanerThreadsMax, 1) - state.jobCount
            state.jobCount += max(count, 0)
            return max(count, 0)
        }
        for _ in 0..<count {
            engine.longWorkers.submit { [self, engine] in
                var done: Set<String> = []
                while let next = take(engine, besides: done) {
                    done.insert(next.partition.name)
                    _ = try? clean(next.partition, next.log, .now)
                    try? engine.writeCheckpoints()
                }
                state.withLock { $0.jobCount -= 1 }
                withExtendedLifetime(engine) {}
            }
        }
    }

    /// The dirtiest log that is due, marked as running.
    private func take(
        _ engine: Engine, besides done: Set<String>
    ) -> (partition: Partition, log: PartitionLog)? {
        guard throttle.moved(0) else { return nil }
        let now = Timestamp.now
        var due: [(partition: Partition, log: PartitionLog, urgency: Double)] = []
        for partition in engine.partitions where !done.contains(partition.name) {
            guard let log = partition.onlineLog, log.isCompacting, log.stopReason == nil,
                let urgency = urgency(of: partition.name, log, now)
            else { continue }
            due.append((partition, log, urgency))
        }
        due.sort { $0.urgency > $1.urgency }
        return state.withLock { state in
            for next in due where state.running[next.partition.name] == nil {
                state.running[next.partition.name] = 1
                return (next.partition, next.log)
            }
            return nil
        }
    }

    /// How much a log needs cleaning; nil where it does not now.
    private func urgency(of name: String, _ log: PartitionLog, _ now: Timestamp) -> Double? {
        let known = state.withLock { state -> CompactionHistory? in
            guard !state.isLeftAlone.contains(name), state.running[name] == nil else {
                return nil
            }
            return state.histories[name] ?? CompactionHistory()
        }
        // What failed for want of space, or of something else that comes back, is tried again
        // when some time is over.
        guard let known, !known.hasJustFailed(now, within: configuration.cleanerBackoffMilliseconds)
        else { return nil }
        guard let survey = try? log.cleaningSurvey(now: now) else { return nil }
        if survey.isOverdue { return 2 }
        if survey.isDue { return survey.dirtyRatio }
        // Tombstones whose time is over go although nothing new has come.
        return known.hasPassedHorizon(now) ? 0 : nil
    }

    // MARK: One log

    /// Cleans a log at once, whatever its dirty ratio, after a cleaning of it that is under way.
    func cleanNow(
        _ partition: Partition, _ log: PartitionLog, at now: Timestamp = .now
    ) throws -> CleaningReport {
        state.withLock { $0.running[partition.name, default: 0] += 1 }
        return try clean(partition, log, now)
    }

    /// Cleans a log that is marked as running, in as many goes as its keys need.
    private func clean(
        _ partition: Partition, _ log: PartitionLog, _ now: Timestamp
    ) throws -> CleaningReport {
        let start = ContinuousClock.now
        let share = configuration.cleanerDedupeBufferBytes / max(configuration.cleanerThreadsMax, 1)
        let cleaner = LogCleaner(
            log, dedupeByteCountMax: share,
            pace: Pace { [throttle] in throttle.moved($0, unless: { log.isClosing }) })
        var traffic = CleaningTraffic()
        do {
            // On a full disk the reserve may be what is missing to make room.
            func cleanOnce() throws(LogError) -> CleaningReport {
                try reserve.spend { () throws(LogError) in
                    try cleaner.clean(now: now, counting: &traffic)
                }
            }
            var report = try cleanOnce()
            while report.isPartial {
                let more = try cleanOnce()
                guard more.cleanedEnd > report.cleanedEnd else { break }
                report.goOn(with: more)
            }
            note(report, traffic, of: partition.name, since: start)
            configuration.logger.info("\(partition.name) was cleaned: \(report)")
            return report
        } catch {
            note(error, traffic, of: partition.name)
            throw error
        }
    }

    private func note(
        _ report: CleaningReport, _ traffic: CleaningTraffic, of name: String,
        since start: ContinuousClock.Instant
    ) {
        let duration = ContinuousClock.now - start
        state.withLock { state in
            state.noteEnd(of: name)
            state.isLeftAlone.remove(name)
            state.histories[name, default: CompactionHistory()]
                .note(report, traffic, at: .now, duration: duration)
        }
        CompactionMetrics.note(traffic, of: name)
        CompactionMetrics.note(report, of: name)
        writeNotes()
    }

    private func note(_ error: LogError, _ traffic: CleaningTraffic, of name: String) {
        CompactionMetrics.note(traffic, of: name)
        state.withLock { state in
            state.noteEnd(of: name)
            // Perhaps of a topic that is deleted: it has no history any more.
            if case .closed = error { return }
            if !error.isPassing { state.isLeftAlone.insert(name) }
            state.histories[name, default: CompactionHistory()].note(error, traffic, at: .now)
        }
        if case .closed = error { return }
        configuration.logger.error("\(name) was not cleaned: \(error)")
        CompactionMetrics.noteFailure(of: name)
        writeNotes()
    }

    private func writeNotes() {
        writing.withLock { _ in
            let histories = state.withLock { $0.histories }
            try? CompactionNotes.write(histories, to: data.path, on: data.fileSystem)
        }
    }

    // MARK: Asking

    /// The state of a partition's cleaning.
    func status(of partition: Partition, now: Timestamp) -> CompactionStatus {
        var status = CompactionStatus(topic: partition.topic, partition: partition.index)
        state.withLock { state in
            status.isRunning = state.running[partition.name] != nil
            status.history = state.histories[partition.name] ?? CompactionHistory()
        }
        guard let log = partition.onlineLog else {
            status.history.failure = partition.failure?.description
            return status
        }
        status.firstDirtyOffset = log.firstDirtyOffset
        if let survey = try? log.cleaningSurvey(now: now) {
            (status.cleanByteCount, status.dirtyByteCount) = survey.byteCounts
            status.isDue =
                survey.isDue || survey.isOverdue || status.history.hasPassedHorizon(now)
        }
        return status
    }

    /// Forgets partitions that are gone.
    func forget(_ names: [String]) {
        state.withLock { state in
            for name in names {
                state.histories[name] = nil
                state.isLeftAlone.remove(name)
            }
        }
        writeNotes()
    }
}

extension LogError {
    /// Whether the same may work some time later: there may be space, or descriptors, again.
    fileprivate var isPassing: Bool {
        guard case .file(let error) = self else { return false }
        return error.isNoSpace || error.isTooManyOpenFiles || error.isOutOfMemory
    }
}
