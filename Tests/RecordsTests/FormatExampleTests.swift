import Foundation
import TallyRecords
import Testing

@Suite("the worked example of FORMAT.md")
struct FormatExampleTests {
    static let file = Golden.fixtures.appendingPathComponent("record-batch-example.hex")

    static let records = [
        PlainRecord(
            offset: 7, timestamp: 1_767_225_600_000, key: Array("GOT:42".utf8),
            value: Array("{\"n\":-3}".utf8),
            headers: [
                PlainHeader(key: Array("v".utf8), value: Array("1".utf8)),
                PlainHeader(key: Array("x".utf8), value: nil),
            ]),
        PlainRecord(
            offset: 8, timestamp: 1_767_225_600_100, key: Array("GOT:42".utf8), value: nil),
    ]

    /// The fixture's bytes: what stands before the comments.
    static func bytes() throws -> [UInt8] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .flatMap { $0.prefix { $0 != "#" }.split(separator: " ") }
            .map { try #require(UInt8($0, radix: 16)) }
    }

    @Test("decodes to what its comments say")
    func decode() throws {
        let bytes = try Self.bytes()
        let batch = try RecordBatch(bytes.span.bytes)
        try batch.verifyChecksum()
        let header = batch.header
        #expect(header.baseOffset == Offset(7))
        #expect(header.lastOffset == Offset(8))
        #expect(header.sizeInBytes == 103)
        #expect(header.sizeInBytes == bytes.count)
        #expect(header.partitionLeaderEpoch == LeaderEpoch(2))
        #expect(header.attributes == BatchAttributes())
        #expect(header.baseTimestamp.rawValue == 1_767_225_600_000)
        #expect(header.maxTimestamp.rawValue == 1_767_225_600_100)
        #expect(header.producerID == 1_000)
        #expect(header.producerEpoch == 0)
        #expect(header.baseSequence == 5)
        #expect(header.recordCount == 2)
        #expect(try decodeRecords(bytes) == Self.records)
    }

    @Test("is what the builder makes of its records")
    func encode() throws {
        var builder = try RecordBatchBuilder()
        for record in Self.records { try builder.append(record) }
        let ours = try builder.finish(
            baseOffset: Offset(7), leaderEpoch: LeaderEpoch(2),
            producer: BatchProducer(id: 1_000, epoch: 0, baseSequence: 5)
        ).array
        #expect(ours == (try Self.bytes()))
    }

    @Test("stands in the page as it stands in the fixture")
    func page() throws {
        let page = Golden.fixtures.deletingLastPathComponent()
            .appendingPathComponent("Engine/Records/FORMAT.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        #expect(text.contains(try String(contentsOf: Self.file, encoding: .utf8)))
    }
}
