import Logging
import Metrics
import Synchronization
import TallyLog

/// How far the opening of an engine has come: told to the log every few seconds while it lasts,
/// and once when it is over.
///
/// Thread rule: any thread.
final class OpeningProgress: Sendable {
    private struct State {
        /// Partitions that are being opened now, by name.
        var underWay: Set<String> = []
        var openedCount = 0
        var offlineCount = 0
        var recoveredCount = 0
        var scannedByteCount = 0
        var cutByteCount = 0
    }

    private let state = Mutex(State())
    private let partitionCount: Int
    private let logger: Logger
    private let start = ContinuousClock.now

    init(partitionCount: Int, logger: Logger) {
        self.partitionCount = partitionCount
        self.logger = logger
    }

    /// Tells how far it is, again and again, until the task is cancelled; never where there is to
    /// be no time in between.
    func tell(every interval: Duration) async {
        while interval > .zero {
            do { try await Task.sleep(for: interval) } catch { return }
            logger.info("\(description)")
        }
    }

    func begin(_ partition: String) { state.withLock { _ = $0.underWay.insert(partition) } }

    /// - Parameter recovery: nil where the partition stays offline.
    func end(_ partition: String, _ recovery: RecoveryReport?) {
        state.withLock { state in
            state.underWay.remove(partition)
            state.openedCount += 1
            guard let recovery else {
                state.offlineCount += 1
                return
            }
            if !recovery.wasClean { state.recoveredCount += 1 }
            state.scannedByteCount += recovery.scannedByteCount
            state.cutByteCount += recovery.cutByteCount
        }
    }

    /// So far.
    private var description: String {
        let state = state.withLock { $0 }
        let names = state.underWay.sorted()
        let more = names.count > 3 ? " and \(names.count - 3) more" : ""
        return """
            opening: \(state.openedCount) of \(partitionCount) partitions in \(seconds) s, \
            \(state.scannedByteCount) bytes scanned; at work on \
            \(names.prefix(3).joined(separator: ", "))\(more)
            """
    }

    /// Tells that all partitions are open, and sets the metrics.
    func finish() {
        let state = state.withLock { $0 }
        openingSecondsGauge.record(elapsedSeconds)
        recoveredGauge.record(state.recoveredCount)
        scannedBytesGauge.record(state.scannedByteCount)
        offlineGauge.record(state.offlineCount)
        logger.info(
            """
            opened \(partitionCount) partitions in \(seconds) s: \(state.recoveredCount) after an \
            unclean stop, \(state.scannedByteCount) bytes scanned, \(state.cutByteCount) cut off; \
            \(state.offlineCount) offline
            """)
    }

    private var elapsedSeconds: Double {
        let elapsed = (ContinuousClock.now - start).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
    }

    /// With two digits behind the point.
    private var seconds: String {
        let hundredths = Int((elapsedSeconds * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

private let openingSecondsGauge = Gauge(label: "tally_open_seconds")
private let recoveredGauge = Gauge(label: "tally_recovered_partitions")
private let scannedBytesGauge = Gauge(label: "tally_recovery_scanned_bytes")
private let offlineGauge = Gauge(label: "tally_offline_partitions")
