import Tally
import TallyRecords

/// What the producer of these tests writes: numbers, each partition from 0 on, so that a reader
/// sees what is missing, and what is there twice.
enum Numbers {
    /// A batch of consecutive numbers.
    static func batch(_ numbers: Range<Int>, producer: BatchProducer) throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        for number in numbers {
            let value = Array("\(number) \(filling)".utf8)
            try builder.append(key: nil, value: value.rawSpan, timestamp: .now)
        }
        var bytes: [UInt8] = []
        bytes.append(try builder.finish(producer: producer))
        return bytes
    }

    private static let filling = String(repeating: "x", count: 90)

    /// The numbers in whole batches, with their offsets.
    static func read(_ batches: [UInt8]) throws -> [(offset: Offset, number: Int)] {
        var found: [(Offset, Int)] = []
        var decoder = RecordDecoder()
        var at = 0
        while at < batches.count {
            let batch = try RecordBatch(batches.rawSpan, at: at)
            try batch.verifyChecksum()
            var cursor = try decoder.records(of: batch)
            while let record = try cursor.next() {
                let word = record.valueText?.split(separator: " ").first
                found.append((record.offset, word.flatMap { Int($0) } ?? -1))
            }
            at += batch.header.sizeInBytes
        }
        return found
    }
}
