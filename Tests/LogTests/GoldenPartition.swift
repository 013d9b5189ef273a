import Foundation
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport

/// A copy of a partition that Kafka wrote, to be damaged.
final class GoldenPartition {
    private let root: TemporaryDirectory
    let directory: String

    /// All partitions there are.
    static let names = [
        "golden-append-time-0", "golden-compacted-0", "golden-gzip-0", "golden-idempotent-0",
        "golden-lz4-0", "golden-plain-0", "golden-snappy-0", "golden-transactions-0",
        "golden-zstd-0",
    ]

    init(_ name: String) throws {
        root = try TemporaryDirectory(holdsDamage: true)
        directory = root.path(name)
        try FileManager.default.copyItem(
            atPath: Fixtures.path("kafka-golden/partitions/\(name)"), toPath: directory)
    }

    func path(_ file: String) -> String { directory + "/" + file }

    func bytes(_ file: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(file))))
    }

    func write(_ bytes: [UInt8], to file: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path(file)))
    }

    func remove(_ file: String) throws {
        try FileManager.default.removeItem(atPath: path(file))
    }

    func rename(_ file: String, to other: String) throws {
        try FileManager.default.moveItem(atPath: path(file), toPath: path(other))
    }

    /// Changes the bytes of a file.
    func edit(_ file: String, _ change: (inout [UInt8]) throws -> Void) throws {
        var bytes = try bytes(file)
        try change(&bytes)
        try write(bytes, to: file)
    }

    /// Where the batches of a log file begin, and where the last ends.
    func batchPositions(_ file: String) throws -> [Int] {
        let bytes = try bytes(file)
        var positions = [0]
        while positions[positions.count - 1] < bytes.count {
            let header = try RecordBatchHeader(
                decoding: bytes.rawSpan, at: positions[positions.count - 1])
            positions.append(positions[positions.count - 1] + header.sizeInBytes)
        }
        return positions
    }

    func verify() throws -> LogReport {
        try withExtendedLifetime(root) {
            try LogVerifier(
                of: directory, environment: LogEnvironment.readOnly(on: PosixFileSystem())
            ).verify()
        }
    }

    /// A snapshot of it. Keep the partition for as long as the snapshot is read.
    func snapshot() throws -> PartitionSnapshot {
        try PartitionSnapshot(
            opening: directory, environment: LogEnvironment.readOnly(on: PosixFileSystem()))
    }
}

extension Array where Element == UInt8 {
    /// Stores a big-endian number.
    mutating func store(_ number: some FixedWidthInteger, at position: Int) {
        let bytes = number.bitWidth / 8
        for index in 0..<bytes {
            self[position + index] = UInt8(
                truncatingIfNeeded: number >> ((bytes - 1 - index) * 8))
        }
    }

    /// Makes the checksum of a whole batch right again.
    mutating func mendChecksum(_ batch: Range<Int>) {
        let covered = self[(batch.lowerBound + 21)..<batch.upperBound]
        store(Checksum.crc32c(Array(covered).rawSpan), at: batch.lowerBound + 17)
    }
}
