import Glibc
import TallyFiles
import TallyLog
import TallyRecords

/// The process that the crash tests start and kill. It says on its standard output what a client
/// would have been told, one line for each thing.
@main
enum CrashChild {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4 else { fatalError("usage: MODE DIRECTORY NUMBER") }
        let number = Int64(arguments[3]) ?? 0
        switch arguments[1] {
        case "append": try appendForever(to: arguments[2], recoveryPoint: Offset(number))
        case "compact":
            try compactForever(in: arguments[2], recoveryPoint: Offset(number))
        case "many": try openMany(in: arguments[2], count: Int(number))
        case "fill": try await fillTopic(in: arguments[2], partitions: Int(number))
        case "churn": try await churn(in: arguments[2], life: Int(number))
        case "hold": try await hold(arguments[2])
        case "descriptors": try await runOut(in: arguments[2], partitions: Int32(number))
        case "scale": try await measureOpening(of: arguments[2], appends: Int(number))
        default: fatalError("there is no mode \(arguments[1])")
        }
    }

    /// One write, so that a kill cannot cut a line in two.
    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        guard write(1, bytes, bytes.count) == bytes.count else { exit(1) }
    }

    /// Appends under `.synced` until somebody kills us, and says each offset that was acknowledged.
    private static func appendForever(to directory: String, recoveryPoint: Offset) throws {
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 32 << 10
        configuration.indexIntervalBytes = 512
        let log = try PartitionLog.open(
            directory,
            environment: LogEnvironment(fileSystem: PosixFileSystem(), openFilesMax: 16),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: recoveryPoint))
        say("open \(log.logEnd)")
        var builder = try RecordBatchBuilder(codec: .none)
        while true {
            builder.reset()
            let first = log.logEnd.rawValue
            for offset in first...first + first % 5 {
                let value = Array("record \(offset)".utf8)
                try builder.append(
                    key: nil, value: value.span.bytes, timestamp: Timestamp(milliseconds: offset))
            }
            var bytes = try builder.finishMutable()
            let result = try log.append(
                &bytes, from: .ownEncoder, now: Timestamp(milliseconds: 0))
            try log.flush(reaching: result.nextOffset)
            guard log.highWatermark >= result.nextOffset else { exit(1) }
            say("\(result.nextOffset)")
        }
    }
}
