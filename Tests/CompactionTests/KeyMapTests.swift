import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyCompaction

@Suite("Keys in bounded memory")
struct KeyMapTests {
    @Test("the hash is SipHash-2-4 with 128 bits, by its authors' vectors")
    func vectors() {
        let hasher = KeyHasher(
            seed: (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908), wordRounds: 2, finalRounds: 4)
        let expected = [
            "a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45",
            "8177228da4a45dc7fca38bdef60affe4",
        ]
        for (length, vector) in expected.enumerated() {
            let key = (0..<length).map { UInt8($0) }
            let hash = hasher.hash(key.rawSpan)
            let bytes = [hash.low, hash.high].flatMap { word in
                (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
            }
            #expect(bytes.map { hexadecimal($0) }.joined() == vector)
        }
    }

    private func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }

    @Test("keys that differ in any byte or in length have hashes that differ")
    func differences() {
        let hasher = KeyHasher.random()
        var seen: Set<KeyHash> = []
        for length in 0..<40 {
            seen.insert(hasher.hash([UInt8](repeating: 0, count: length).rawSpan))
            for position in 0..<length {
                var key = [UInt8](repeating: 0, count: length)
                key[position] = 1
                seen.insert(hasher.hash(key.rawSpan))
            }
        }
        #expect(seen.count == 40 + (0..<40).reduce(0, +))
        let other = KeyHasher.random()
        #expect(hasher.hash([1].rawSpan) != other.hash([1].rawSpan))
    }

    @Test(
        "the map says what a dictionary says, until it is full",
        arguments: [0, 200, 5_000, 1 << 20])
    func map(byteCountMax: Int) {
        var generator = SeededGenerator.fromEnvironment("map \(byteCountMax)")
        var map = KeyMap(byteCountMax: byteCountMax)
        var model: [KeyHash: Offset] = [:]
        #expect(map.countMax >= 3)
        var fullCount = 0
        for offset in 0..<20_000 {
            let number = UInt64.random(in: 0..<UInt64(map.countMax * 2), using: &generator)
            // Many have their home in the same place.
            let hash = KeyHash(low: number, high: number % 7 &* 0x2492_4924_9249_2492)
            switch map.put(hash, Offset(Int64(offset))) {
            case .added:
                #expect(model[hash] == nil)
                model[hash] = Offset(Int64(offset))
            case .replaced(let old):
                #expect(model[hash] == old)
                model[hash] = Offset(Int64(offset))
            case .full:
                #expect(model[hash] == nil)
                #expect(model.count == map.countMax)
                fullCount += 1
            }
            if map.countMax > 1000, offset > 3000 { break }
        }
        #expect(map.count == model.count)
        #expect(fullCount > 0 || byteCountMax > 5_000)
        for (hash, offset) in model { #expect(map.offset(of: hash) == offset) }
        #expect(map.offset(of: KeyHash(low: .max, high: 1)) == nil)
    }

    @Test("the offsets that stay are those that were noted and not taken back")
    func latest() {
        var generator = SeededGenerator.fromEnvironment()
        for byteCountMax in [0, 8, 24, 400] {
            var latest = LatestOffsets(byteCountMax: byteCountMax)
            var model: Set<Int64> = []
            let base = Int64.random(in: 0...1000, using: &generator)
            let capacity = Int64(max(byteCountMax / 8, 1) * 64)
            let isThere = latest.contains(Offset(base))
            #expect(!isThere)
            var offset = base
            while latest.insert(Offset(offset)) {
                model.insert(offset)
                if Bool.random(using: &generator), let old = model.randomElement(using: &generator)
                {
                    latest.remove(Offset(old))
                    model.remove(old)
                }
                offset += Int64.random(in: 1...9, using: &generator)
            }
            #expect(offset >= base + capacity)
            for offset in base - 3...base + capacity + 3 {
                let isThere = latest.contains(Offset(offset))
                #expect(isThere == model.contains(offset))
            }
            for _ in 0..<500 {
                let start = Int64.random(
                    in: max(base - 9, 0)...base + capacity + 9, using: &generator)
                let end = start + Int64.random(in: 0...150, using: &generator)
                let expected = model.contains { (start...end).contains($0) }
                let found = latest.containsAny(of: Offset(start)...Offset(end))
                #expect(found == expected)
            }
        }
    }
}
