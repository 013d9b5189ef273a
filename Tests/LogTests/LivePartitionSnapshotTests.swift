import Foundation
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite struct LivePartitionSnapshotTests {
    @Test("a log that is appended to and rolled is followed without a lock")
    func follows() throws {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let path = directory.path("t-0")
        let files = PosixFileSystem()
        try files.createDirectory(path)
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 20_000
        configuration.durability = .buffered
        let log = try PartitionLog.open(
            path, environment: LogEnvironment(fileSystem: files, openFilesMax: 20),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: .zero))
        let total: Int64 = 6000
        // A thread of its own: Swift's few may all be busy with other tests for a minute.
        let writer = Mutex<Result<Void, any Error>?>(nil)
        Thread.detachNewThread {
            let outcome = Result { try Self.write(total, to: log) }
            writer.withLock { $0 = outcome }
        }
        var snapshot = try PartitionSnapshot(
            opening: path, environment: LogEnvironment.readOnly(on: files))
        var next = Offset.zero
        var near: ReadPosition?
        var decoder = RecordDecoder()
        var looks = 0
        let deadline = ContinuousClock.now + .seconds(60)
        while next < Offset(total), ContinuousClock.now < deadline {
            looks += 1
            if try !snapshot.refresh() { usleep(1000) }
            while let slice = try snapshot.read(from: next, bytesMax: 5000, near: near) {
                let bytes = slice.content.all
                var position = 0
                while position < bytes.byteCount {
                    let batch = try RecordBatch(bytes, at: position)
                    try batch.verifyChecksum()
                    try decoder.forEachRecord(in: batch) { record in
                        #expect(record.offset == next)
                        #expect(record.value?.byteCount == 5 + Int(next.rawValue % 90))
                        next = next.advanced(by: 1)
                    }
                    position += batch.header.sizeInBytes
                }
                near = slice.end
            }
        }
        while writer.withLock({ $0 == nil }) { usleep(1000) }
        try writer.withLock { $0 }?.get()
        #expect(next == Offset(total))
        #expect(snapshot.segments.count > 5)
        #expect(looks > 1)
        // What is there is sound, whether or not it is sealed.
        let live = try LogVerifier(
            of: path, environment: LogEnvironment.readOnly(on: files)
        ).verify()
        #expect(!live.problems.contains { $0.severity == .damage }, "\(live.problems)")
        _ = try log.close()
        let closed = try LogVerifier(
            of: path, environment: LogEnvironment.readOnly(on: files)
        ).verify()
        #expect(closed.isSound, "\(closed.problems)")
        #expect(closed.segments.reduce(0) { $0 + $1.recordCount } == Int(total))
    }

    private static func write(_ total: Int64, to log: PartitionLog) throws {
        var builder = try RecordBatchBuilder(codec: .none)
        var offset: Int64 = 0
        while offset < total {
            builder.reset()
            for _ in 0..<3 {
                let value = [UInt8](repeating: 7, count: 5 + Int(offset % 90))
                try builder.append(
                    key: nil, value: value.rawSpan,
                    timestamp: Timestamp(milliseconds: offset / 2))
                offset += 1
            }
            var bytes = try builder.finishMutable()
            _ = try log.append(&bytes, from: .outside, now: Timestamp(milliseconds: 0))
            if offset.isMultiple(of: 900) { try log.flush() }
        }
    }
}
