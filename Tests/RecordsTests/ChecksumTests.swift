import TallyRecords
import Testing

@Suite("CRC-32C")
struct ChecksumTests {
    static let vectors: [(bytes: [UInt8], checksum: UInt32)] = [
        ([], 0),
        (Array("123456789".utf8), 0xe306_9283),
        // The iSCSI vectors of RFC 3720, B.4.
        ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
        ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
        (Array(0..<32), 0x46dd_794e),
        (Array((0..<32).reversed()), 0x113f_db5c),
    ]

    static let variants = Checksum.Variant.allCases.filter(\.isAvailable)

    @Test("the known vectors come out of every variant", arguments: variants)
    func vectors(variant: Checksum.Variant) {
        for vector in Self.vectors {
            #expect(Checksum.crc32c(vector.bytes.span.bytes, by: variant) == vector.checksum)
            #expect(Checksum.crc32c(vector.bytes.span.bytes) == vector.checksum)
        }
    }

    @Test("all variants agree at every length and alignment")
    func agreement() {
        var random = TestRandom(for: "CRC-32C")
        let bytes = random.bytes(8_000)
        let span = bytes.span.bytes
        // Every length around the steps of 8, 3 * 128 and 3 * 1024 bytes, each somewhere else.
        for length in Array(0..<1_200) + Array(3_000..<3_500) + Array(6_100..<6_600) {
            let start = Int.random(in: 0..<64, using: &random)
            let part = span.extracting(start..<start + length)
            let expected = Checksum.crc32c(part, by: .table)
            for variant in Self.variants {
                #expect(Checksum.crc32c(part, by: variant) == expected, "\(length) bytes")
            }
        }
    }

    @Test("a sum continues over parts as over the whole")
    func continuing() {
        var random = TestRandom(for: "CRC-32C in parts")
        let bytes = random.bytes(10_000)
        let whole = Checksum.crc32c(bytes.span.bytes)
        for _ in 0..<200 {
            let cut = Int.random(in: 0...bytes.count, using: &random)
            let head = Checksum.crc32c(bytes.span.bytes.extracting(0..<cut))
            let tail = bytes.span.bytes.extracting(cut..<bytes.count)
            #expect(Checksum.crc32c(tail, continuing: head) == whole)
        }
    }
}
