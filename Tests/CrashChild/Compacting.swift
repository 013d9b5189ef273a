import Foundation
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords

extension CrashChild {
    /// Appends records with keys under `.synced` and cleans in a loop until somebody kills us, and
    /// says each record that was acknowledged: its offset, its key, its value.
    static func compactForever(in directory: String, recoveryPoint: Offset) throws {
        let log = try PartitionLog.open(
            directory,
            environment: LogEnvironment(fileSystem: PosixFileSystem(), openFilesMax: 16),
            configuration: compacting,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: recoveryPoint))
        say("open \(log.logEnd)")
        Thread.detachNewThread {
            while true {
                do {
                    _ = try LogCleaner(log, dedupeByteCountMax: 4096, pace: .free)
                        .clean(now: Timestamp(milliseconds: 0))
                    log.removeRetiredFiles(now: .now)
                } catch {
                    say("error \(error)")
                    exit(1)
                }
            }
        }
        while true { try put(log) }
    }

    /// Tiny segments, and files that go at once.
    private static var compacting: LogConfiguration {
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 1200
        configuration.indexIntervalBytes = 200
        configuration.isCompacting = true
        configuration.fileDeleteDelayMilliseconds = 0
        return configuration
    }

    private static func put(_ log: PartitionLog) throws {
        let number = log.logEnd.rawValue
        let (key, value) = ("\(number % 13)", "\(number)")
        var builder = try RecordBatchBuilder(codec: .none)
        try builder.append(
            key: Array(key.utf8).span.bytes, value: Array(value.utf8).span.bytes,
            timestamp: Timestamp(milliseconds: number))
        var bytes = try builder.finishMutable()
        let result = try log.append(&bytes, from: .ownEncoder, now: Timestamp(milliseconds: 0))
        try log.flush(reaching: result.nextOffset)
        guard log.highWatermark >= result.nextOffset else { exit(1) }
        say("\(result.baseOffset) \(key) \(value)")
    }
}
