import Glibc
import TallyFiles
import TallyLog
import TallyRecords

extension CrashChild {
    private static let openFilesMax = 200

    /// Opens many partitions with few descriptors, appends to each, reads from each, closes all,
    /// and opens them again after that clean stop.
    static func openMany(in directory: String, count: Int) throws {
        // A little more than the pool may use: standard streams, and files that are replaced.
        var limit = rlimit(rlim_cur: rlim_t(openFilesMax + 24), rlim_max: rlim_t(openFilesMax + 24))
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(1) }
        let environment = LogEnvironment(
            fileSystem: PosixFileSystem(), openFilesMax: openFilesMax)
        var configuration = LogConfiguration()
        configuration.durability = .buffered
        var most = 0
        for isReopened in [false, true] {
            var logs: [PartitionLog] = []
            for number in 0..<count {
                let path = "\(directory)/t-\(number)"
                if !isReopened { try environment.fileSystem.createDirectory(path) }
                let end = Offset(isReopened ? 1 : 0)
                let log = try PartitionLog.open(
                    path, environment: environment, configuration: configuration,
                    checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: end))
                guard log.logEnd == end, log.recovery.wasClean else { exit(2) }
                logs.append(log)
            }
            for (number, log) in logs.enumerated() {
                try append("\(number)", to: log)
                most = max(most, openDescriptorCount())
            }
            for (number, log) in logs.enumerated() {
                try expect("\(number)", in: log)
                most = max(most, openDescriptorCount())
            }
            for log in logs { _ = try log.close() }
        }
        say("most \(most)")
    }

    private static func append(_ text: String, to log: PartitionLog) throws {
        var builder = try RecordBatchBuilder(codec: .none)
        let value = Array(text.utf8)
        try builder.append(
            key: nil, value: value.span.bytes, timestamp: Timestamp(milliseconds: 0))
        var bytes = try builder.finishMutable()
        _ = try log.append(&bytes, from: .ownEncoder, now: Timestamp(milliseconds: 0))
    }

    /// Each record that the log holds must have this value.
    private static func expect(_ text: String, in log: PartitionLog) throws {
        var offset = Offset.zero
        var decoder = RecordDecoder()
        while let slice = try log.read(from: offset, bytesMax: 1) {
            try decoder.forEachRecord(in: RecordBatch(slice.content.all)) { record in
                guard let value = record.value else { exit(3) }
                let bytes = (0..<value.byteCount).map {
                    value.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
                }
                guard bytes == Array(text.utf8) else { exit(3) }
            }
            offset = slice.nextOffset
        }
        guard offset == log.logEnd else { exit(4) }
    }

    private static func openDescriptorCount() -> Int {
        (0..<Int32(openFilesMax + 24)).count { fcntl($0, F_GETFD) >= 0 }
    }
}
