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

/// Looks at the keys of all records of partitions, without a lock and whoever has them open.
struct KeySurvey: ~Copyable {
    /// What is told of each record.
    typealias Visit = (_ key: RawSpan?, _ byteCount: Int) throws -> Void

    private var records = RecordSurvey()

    /// Visits a partition's records as ``RecordSurvey/forEachRecord(of:from:_:)`` does, and throws
    /// what that throws.
    mutating func forEachRecord(
        of path: String, from logStart: Offset, _ visit: Visit
    ) throws {
        try records.forEachRecord(of: path, from: logStart) { record, _ in
            let valueByteCount = record.value?.byteCount ?? 0
            try visit(record.key, (record.key?.byteCount ?? 0) + valueByteCount)
        }
    }

    /// Whether some record of these partitions has a key: looks no further than the first.
    mutating func hasKeyedRecords(
        in partitions: [(path: String, logStart: Offset)]
    ) throws -> Bool {
        do {
            for partition in partitions {
                try forEachRecord(of: partition.path, from: partition.logStart) { key, _ in
                    if key != nil { throw RecordSurvey.Enough() }
                }
            }
            return false
        } catch is RecordSurvey.Enough {
            return true
        }
    }
}
