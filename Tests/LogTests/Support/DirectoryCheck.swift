import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport

/// Checks the files of a partition directory against each other, with a decoder and index rules of
/// its own: every batch whole and in place, every index entry true. Then asks `LogVerifier` too.
struct DirectoryCheck {
    var files: any FileSystem
    var directory: String
    /// Set for a log that was closed: its indexes must hold exactly what Kafka would have written.
    var indexIntervalBytes: Int?
    private(set) var problems: [String] = []
    private var nextOffset: Int64 = -1

    init(_ files: any FileSystem, _ directory: String, indexIntervalBytes: Int? = nil) {
        self.files = files
        self.directory = directory
        self.indexIntervalBytes = indexIntervalBytes
    }

    struct Placed {
        var position: Int
        var header: RecordBatchHeader
    }

    /// What is wrong; empty where nothing is.
    mutating func run() throws -> [String] {
        let names = try files.list(directory)
        for base in SegmentName.baseOffsets(among: names) {
            let log = try bytes(base, .log) ?? []
            if nextOffset >= 0, base.rawValue != nextOffset {
                problems.append("segment \(base) begins where \(nextOffset) should follow")
            }
            nextOffset = base.rawValue
            let batches = walk(log, base)
            checkOffsets(try bytes(base, .offsetIndex), batches, base)
            checkTimes(try bytes(base, .timeIndex), batches, base)
        }
        try checkEpochs()
        return problems + LogVerification.damage(in: directory, on: files)
    }

    private func bytes(_ base: Offset, _ ending: SegmentName.Ending) throws -> [UInt8]? {
        try files.readWhole(
            joinPath(directory, SegmentName.file(base, ending)), byteCountMax: 1 << 30)
    }

    private var epochsSeen: [(offset: Int64, epoch: Int32)] = []

    private mutating func walk(_ log: [UInt8], _ base: Offset) -> [Placed] {
        var batches: [Placed] = []
        var position = 0
        do {
            while position < log.count {
                let batch = try RecordBatch(log.span.bytes, at: position)
                try batch.verifyChecksum()
                if batch.header.baseOffset.rawValue != nextOffset {
                    problems.append("\(base)@\(position): offset \(batch.header.baseOffset)")
                }
                batches.append(Placed(position: position, header: batch.header))
                epochsSeen.append(
                    (nextOffset, batch.header.partitionLeaderEpoch.rawValue))
                nextOffset = batch.header.nextOffset.rawValue
                position += batch.header.sizeInBytes
            }
        } catch {
            problems.append("\(base)@\(position): \(error)")
        }
        return batches
    }

    private mutating func checkOffsets(_ bytes: [UInt8]?, _ batches: [Placed], _ base: Offset) {
        let entries = Self.numbers(bytes ?? [], widths: [4, 4])
        for entry in entries {
            let batch = batches.first { $0.position == Int(entry[1]) }
            if batch?.header.lastOffset.rawValue != base.rawValue + entry[0] {
                problems.append("\(base).index: entry \(entry) is not true")
            }
        }
        guard let interval = indexIntervalBytes else { return }
        if bytes == nil { problems.append("\(base).index is missing") }
        let expected = Self.indexed(batches, interval).map {
            [$0.header.lastOffset.rawValue - base.rawValue, Int64($0.position)]
        }
        if entries != expected { problems.append("\(base).index: \(entries), not \(expected)") }
    }

    private mutating func checkTimes(_ bytes: [UInt8]?, _ batches: [Placed], _ base: Offset) {
        let entries = Self.numbers(bytes ?? [], widths: [8, 4])
        for entry in entries {
            let upTo = batches.filter { $0.header.baseOffset.rawValue <= base.rawValue + entry[1] }
            let largest = upTo.map(\.header.maxTimestamp.rawValue).max()
            if largest != entry[0] || upTo.last?.header.maxTimestamp.rawValue != entry[0] {
                problems.append("\(base).timeindex: entry \(entry) is not true")
            }
        }
        guard let interval = indexIntervalBytes else { return }
        if bytes == nil { problems.append("\(base).timeindex is missing") }
        let indexed = Set(Self.indexed(batches, interval).map(\.position))
        var expected: [[Int64]] = []
        var largest: (time: Int64, offset: Int64) = (-1, 0)
        for (number, batch) in batches.enumerated() {
            if batch.header.maxTimestamp.rawValue > largest.time {
                largest = (
                    batch.header.maxTimestamp.rawValue,
                    batch.header.lastOffset.rawValue - base.rawValue
                )
            }
            let isDue = indexed.contains(batch.position) || number == batches.count - 1
            if isDue, largest.time > expected.last?[0] ?? -1 {
                expected.append([largest.time, largest.offset])
            }
        }
        if entries != expected {
            problems.append("\(base).timeindex: \(entries), not \(expected)")
        }
    }

    /// The batches that Kafka indexes: each that begins more than the interval after the one
    /// indexed before it.
    private static func indexed(_ batches: [Placed], _ interval: Int) -> [Placed] {
        var last = 0
        return batches.filter { batch in
            guard batch.position - last > interval else { return false }
            last = batch.position
            return true
        }
    }

    private mutating func checkEpochs() throws {
        let epochs = try LeaderEpochs.read(from: directory, on: files)
        for (offset, epoch) in epochsSeen {
            let noted = epochs.entries.last { $0.startOffset.rawValue <= offset }
            if noted?.epoch.rawValue != epoch {
                problems.append("batch at offset \(offset) has epoch \(epoch), not \(noted as Any)")
            }
        }
    }

    /// Big-endian numbers of these widths in bytes, as many rows as are whole.
    static func numbers(_ bytes: [UInt8], widths: [Int]) -> [[Int64]] {
        let rowByteCount = widths.reduce(0, +)
        return stride(from: 0, to: bytes.count - rowByteCount + 1, by: rowByteCount).map { start in
            var at = start
            return widths.map { width in
                defer { at += width }
                let number = bytes[at..<at + width].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
                return width == 4
                    ? Int64(Int32(truncatingIfNeeded: number)) : Int64(bitPattern: number)
            }
        }
    }
}
