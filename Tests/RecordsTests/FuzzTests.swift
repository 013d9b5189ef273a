import Foundation
import TallyRecords
import TallyTestSupport
import Testing

/// Damage by the hundred thousand, with the checksum made right again so that it is reached:
/// decoding must end with records or an error, and never trap or hang.
@Suite("fuzzing")
struct FuzzTests {
    /// `TALLY_FUZZ_ROUNDS` sets another number of mutations per codec.
    static let rounds =
        ProcessInfo.processInfo.environment["TALLY_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 100_000

    @Test("no damage to a batch traps or hangs", arguments: Codec.ofThisBuild)
    func mutations(codec: Codec) throws {
        var random = TestRandom(for: "fuzzing \(codec)")
        let originals = try (0..<40).map { _ in
            try encode(
                (0..<Int.random(in: 1...5, using: &random)).map { _ in
                    RoundTripTests.randomRecord(&random, valueBytesMax: 40)
                }, codec: codec, baseOffset: Int64.random(in: 0...1_000, using: &random))
        }
        var decoder = RecordDecoder(decompressedBytesMax: 1 << 20)
        var decoded = 0
        var kinds: Set<String> = []
        for round in 0..<Self.rounds {
            var bytes = originals[random.below(originals.count)]
            mutate(&bytes, with: &random)
            guard let error = decode(bytes, by: &decoder) else {
                decoded += 1
                continue
            }
            // Describing is slow, and a sample tells as much.
            if round % 32 == 0 { kinds.insert(String("\(error.kind)".prefix { $0 != "(" })) }
        }
        // Damage got past the header and the checksum, and was of many kinds.
        #expect(decoded > Self.rounds / 100)
        #expect(decoded < Self.rounds * 9 / 10)
        #expect(kinds.count > 8)
    }

    /// The error that decoding ends with, if it does.
    private func decode(_ bytes: [UInt8], by decoder: inout RecordDecoder) -> RecordError? {
        do throws(RecordError) {
            let batch = try RecordBatch(bytes.span.bytes)
            try batch.verifyChecksum()
            try walk(batch, by: &decoder)
            return nil
        } catch {
            return error
        }
    }

    /// Touches all that a batch has.
    private func walk(
        _ batch: borrowing RecordBatch, by decoder: inout RecordDecoder
    ) throws(RecordError) {
        var cursor = try decoder.records(of: batch)
        var count = 0
        while let record = try cursor.next() {
            count += 1
            precondition(record.offset >= batch.header.baseOffset)
            precondition(record.offset <= batch.header.lastOffset)
            var touched = record.timestamp.rawValue & 1
            if let key = record.key { touched += Int64(key.sum) }
            if let value = record.value { touched += Int64(value.sum) }
            var headers = record.headers
            while let header = try headers.next() {
                touched += Int64(header.key.sum)
                if let value = header.value { touched += Int64(value.sum) }
            }
            precondition(touched >= 0)
            if batch.header.attributes.isControl { _ = try? ControlRecord(decoding: record) }
        }
        precondition(count == Int(batch.header.recordCount))
    }

    private func mutate(_ bytes: inout [UInt8], with random: inout TestRandom) {
        for _ in 0...random.below(3) {
            mutateOnce(&bytes, with: &random)
            // Nothing is left to damage.
            if bytes.count < 62 { break }
        }
        guard bytes.count >= 21 else { return }
        // Mostly right again, so that the records are reached.
        if random.chance(50) { return }
        let length = bytes[8..<12]
        reseal(&bytes)
        if random.chance(50) { bytes.replaceSubrange(8..<12, with: length) }
    }

    private static let lying: [UInt8] = [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff]
    private static let lyingCounts: [Int32] = [0, 1, 2, 6, .max, -1]

    private func mutateOnce(_ bytes: inout [UInt8], with random: inout TestRandom) {
        // Most damage goes to the records; the header has few ways to be wrong.
        let from = random.chance(4) ? 0 : min(61, bytes.count - 1)
        let place = from + random.below(bytes.count - from)
        switch random.below(8) {
        case 0: bytes[place] ^= 1 << random.below(8)
        case 1, 2: bytes[place] = Self.lying[random.below(8)]
        case 3: bytes[place] = UInt8(random.below(256))
        case 4: bytes.removeSubrange(place..<min(bytes.count, place + 4))
        case 5: bytes.insert(contentsOf: random.bytes(3), at: place)
        case 6:
            let run = [UInt8](repeating: 0xff, count: 1 + random.below(11))
            bytes.replaceSubrange(place..<min(bytes.count, place + run.count), with: run)
        default:
            guard bytes.count >= 61 else { return }
            overwrite(&bytes, at: 57, Self.lyingCounts[random.below(6)])
            if random.chance(2) { overwrite(&bytes, at: 23, Int32.max - 1) }
        }
        if bytes.isEmpty { bytes = [0] }
    }

    @Test("no random bytes trap or hang")
    func noise() {
        var random = TestRandom(for: "noise")
        var decoder = RecordDecoder(decompressedBytesMax: 1 << 16)
        for _ in 0..<20_000 {
            var bytes = random.bytes(Int.random(in: 61..<140, using: &random))
            bytes[16] = 2
            bytes[21] = 0
            bytes[22] = random.chance(2) ? 0 : 3
            overwrite(&bytes, at: 0, Int64(0))
            overwrite(&bytes, at: 23, Int32.random(in: 0...20, using: &random))
            overwrite(&bytes, at: 57, Int32.random(in: 0...3, using: &random))
            if random.chance(2), bytes.count > 70 {
                bytes.replaceSubrange(61..<68, with: [4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
            }
            reseal(&bytes)
            _ = decode(bytes, by: &decoder)
        }
    }
}

extension RawSpan {
    /// Reads every byte.
    fileprivate var sum: UInt32 { Checksum.crc32c(self) }
}
