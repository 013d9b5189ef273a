import TallyFiles
import TallyLog
import TallyRecords

/// A record's key as the survey counts it: whole while it is short, else its beginning, its length
/// and its hash, so that memory stays bounded whatever keys are. A value.
package struct SurveyedKey: Hashable {
    private let start: [UInt8]
    private let byteCount: Int
    private let hash: UInt64

    private static let byteCountMax = 128

    init(_ key: RawSpan) {
        byteCount = key.byteCount
        guard byteCount > Self.byteCountMax else {
            start = key.array
            hash = 0
            return
        }
        start = key.part(at: 0, count: Self.byteCountMax).array
        // FNV-1a, 64 bits.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for position in 0..<byteCount {
            hash ^= UInt64(key.bigEndian(at: position, as: UInt8.self))
            hash &*= 0x100_0000_01b3
        }
        self.hash = hash
    }

    /// The key as text, cut where it is long.
    var text: String {
        let text = String(decoding: start, as: UTF8.self)
        return byteCount > start.count ? "\(text)... (\(byteCount) bytes)" : text
    }
}

/// Looks at all records of partitions, without a lock and whoever has them open.
struct KeySurvey: ~Copyable {
    /// What is told of each record.
    typealias Visit = (_ key: RawSpan?, _ byteCount: Int) throws -> Void

    private let environment = LogEnvironment.readOnly(on: PosixFileSystem())
    private var decoder = RecordDecoder()

    /// Ends a walk early.
    private struct Enough: Error {}

    /// Visits a partition's records that lie at or behind `logStart`; those of aborted transactions
    /// too, since they were written all the same, and no markers.
    ///
    /// Throws a ``CommandFailure`` that names file and position where records cannot be read.
    mutating func forEachRecord(
        of path: String, from logStart: Offset, _ visit: Visit
    ) throws {
        let snapshot = try PartitionSnapshot(
            opening: path, environment: environment, logStart: logStart)
        for segment in snapshot.segments {
            var walk = BatchWalk(segment)
            walking: while true {
                switch try walk.next() {
                case .end: break walking
                case .damage(let damage): throw damage.failure(in: segment)
                case .batch(let batch):
                    guard !batch.header.attributes.isControl,
                        batch.header.lastOffset >= snapshot.logStart
                    else { continue }
                    do {
                        let bytes = try RecordBatch(batch.bytes)
                        try bytes.verifyChecksum()
                        try decoder.forEachRecord(in: bytes) { record in
                            guard record.offset >= snapshot.logStart else { return }
                            let valueByteCount = record.value?.byteCount ?? 0
                            try visit(
                                record.key, (record.key?.byteCount ?? 0) + valueByteCount)
                        }
                    } catch let error as RecordError {
                        throw error.failure(in: segment.path, at: batch.position)
                    }
                }
            }
        }
    }

    /// Whether some record of these partitions has a key: looks no further than the first.
    mutating func hasKeyedRecords(
        in partitions: [(path: String, logStart: Offset)]
    ) throws -> Bool {
        do {
            for partition in partitions {
                try forEachRecord(of: partition.path, from: partition.logStart) { key, _ in
                    if key != nil { throw Enough() }
                }
            }
            return false
        } catch is Enough {
            return true
        }
    }
}
