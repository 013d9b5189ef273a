import TallyRecords
import TallyTestSupport
import Testing

@Suite("Giving batches another codec")
struct BatchRecoderTests {
    @Test(
        "all that a batch says stays, and its records are packed as our own encoder packs them",
        arguments: Codec.ofThisBuild, Codec.ofThisBuild)
    func everyPair(from: Codec, to: Codec) throws {
        var random = TestRandom(for: "recoding \(from) as \(to)")
        var recoder = BatchRecoder()
        var expected: [UInt8] = []
        var recoded: [UInt8] = []
        for round in 0..<40 {
            let records = (0..<1 + random.below(60)).map { _ in
                RoundTripTests.randomRecord(
                    &random, valueBytesMax: round % 10 == 0 ? 20_000 : 200)
            }
            let producer = BatchProducer(id: 7, epoch: 1, baseSequence: Int32(round))
            func batch(_ codec: Codec) throws -> [UInt8] {
                try encode(records, codec: codec, baseOffset: 50, producer: producer)
            }
            expected += try batch(to)
            let bytes = try batch(from)
            let original = try RecordBatch(bytes.span.bytes)
            try recoder.recode(original, with: to, behind: &recoded)
        }
        #expect(recoded == expected)
    }

    @Test("records that no reader could walk are refused, and nothing is written")
    func damaged() throws {
        var bytes = try encode(FrameTests.records)
        // The length of the second record's key.
        let second = try #require(bytes[61...].firstIndex(of: UInt8(ascii: "1")))
        bytes[second - 5] = 0x7f
        reseal(&bytes)
        var recoder = BatchRecoder()
        var recoded: [UInt8] = [1]
        #expect(throws: try decodeError(bytes)) {
            try recoder.recode(RecordBatch(bytes.span.bytes), with: .lz4, behind: &recoded)
        }
        #expect(recoded == [1])
    }

    private func decodeError(_ bytes: [UInt8]) throws -> RecordError {
        do throws(RecordError) {
            _ = try decodeRecords(bytes)
        } catch {
            return error
        }
        throw RecordError(.badCount(0), position: 0)
    }

    @Test("a codec that the build lacks is named, on either side", arguments: Codec.missing)
    func missing(codec: Codec) throws {
        var recoder = BatchRecoder()
        var recoded: [UInt8] = []
        var bytes = try encode(FrameTests.records, codec: .lz4)
        let error = RecordError(.codecNotSupported(codec), position: 21)
        #expect(throws: error) {
            try recoder.recode(RecordBatch(bytes.span.bytes), with: codec, behind: &recoded)
        }
        bytes[22] = codec.rawValue
        reseal(&bytes)
        #expect(throws: error) {
            try recoder.recode(RecordBatch(bytes.span.bytes), with: .none, behind: &recoded)
        }
    }
}
