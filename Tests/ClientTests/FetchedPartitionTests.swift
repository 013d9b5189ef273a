import TallyRecords
import TallyTestSupport
import TallyWire
import Testing

@testable import TallyClient

@Suite("What a fetch brought of a partition") struct FetchedPartitionTests {
    private let id = TopicPartition(topic: "t", partition: 0)

    private func batch(at offset: Int64, count: Int) throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        for number in 0..<count {
            let value = Array("value \(number)".utf8)
            try builder.append(key: nil, value: value.rawSpan, timestamp: .none)
        }
        var bytes: [UInt8] = []
        bytes.append(try builder.finish(baseOffset: Offset(offset)))
        return bytes
    }

    private func read(_ records: [UInt8], from offset: Int64) throws -> FetchedPartition {
        var answer = FetchResponse.Partition()
        // A slice of a frame, as it comes.
        answer.records = ([1, 2, 3] + records)[3...]
        answer.highWatermark = 100
        return try FetchedPartition(answer, of: id, from: Offset(offset))
    }

    @Test("a batch that is cut off at the end of an answer is left for the next fetch")
    func cutOff() throws {
        let (first, second) = (try batch(at: 4, count: 3), try batch(at: 9, count: 2))
        for cut in 0..<second.count {
            let fetched = try read(first + second.prefix(cut), from: 5)
            #expect(fetched.batches.elementsEqual(first) && fetched.nextOffset == Offset(7))
        }
        let whole = try read(first + second, from: 5)
        #expect(whole.batches.elementsEqual(first + second) && whole.nextOffset == Offset(11))
        #expect(whole.logStart == nil && whole.highWatermark == Offset(100))
        let nothing = try read([], from: 5)
        #expect(nothing.batches.isEmpty && nothing.nextOffset == Offset(5))
    }

    @Test("what is no batch, lies before what was asked for, or is not whole at all is an error")
    func refusals() throws {
        let (first, second) = (try batch(at: 4, count: 3), try batch(at: 9, count: 2))
        var oldFormat = first
        oldFormat[16] = 1
        for (bytes, offset) in [
            (second + first, Int64(9)), (first, 7), (Array(first.dropLast()), 4), ([1, 2, 3], 4),
            (oldFormat, 4), (Array(repeating: 0xFF, count: 100), 0),
        ] {
            #expect(throws: RecordError.self) { try read(bytes, from: offset) }
        }
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<2000 {
            var bytes = first + second
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[position] = UInt8.random(in: 0...255, using: &generator)
            }
            let cut = Int.random(in: 0...bytes.count, using: &generator)
            // Whatever it is, it ends.
            _ = try? read(Array(bytes.prefix(cut)), from: 4)
        }
    }
}
