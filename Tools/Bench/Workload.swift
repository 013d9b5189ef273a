import Tally
import TallyFiles
import TallyRecords

/// Records made once and written again and again: keys of a few warehouses and items, values with
/// as much repetition as events have.
struct Workload {
    let valueBytes: Int
    let codec: Codec
    let recordCount: Int
    /// Ready-made batches of 16 KiB of record data, each with the records it holds.
    private(set) var batches: [[UInt8]] = []
    /// The same batches uncompressed.
    private(set) var plainBatches: [[UInt8]] = []
    private(set) var keys: [[UInt8]] = []
    private(set) var values: [[UInt8]] = []

    static let batchBytes = 16 << 10

    /// - Parameters:
    ///   - byteCount: bytes of values in all.
    ///   - keyCount: different keys; by chance, but for the few that are usual.
    init(valueBytes: Int, codec: Codec, byteCount: Int, keyCount: Int = 1024) throws {
        self.valueBytes = valueBytes
        self.codec = codec
        recordCount = max(byteCount / valueBytes, 1)
        var random = SplitMix(state: 42)
        keys = (0..<keyCount).map { number in Array("GOT-\(number % 8):SKU-\(number)".utf8) }
        values = (0..<1024).map { _ in Self.value(valueBytes, &random) }
        var builder = try RecordBatchBuilder(codec: codec, capacity: Self.batchBytes * 2)
        var plain = try RecordBatchBuilder(codec: .none, capacity: Self.batchBytes * 2)
        for number in 0..<recordCount {
            try append(number, to: &builder)
            if codec != .none { try append(number, to: &plain) }
            if builder.estimatedByteCount >= Self.batchBytes || number == recordCount - 1 {
                batches.append(Self.copy(try builder.finish()))
                builder.reset()
                if codec != .none { plainBatches.append(Self.copy(try plain.finish())) }
                plain.reset()
            }
        }
        if codec == .none { plainBatches = batches }
    }

    /// Encodes record `number`.
    func append(_ number: Int, to builder: inout RecordBatchBuilder) throws(RecordError) {
        let key = keys[keyIndex(of: number)]
        let value = values[(number &* 7) & 1023]
        try builder.append(
            key: key.rawSpan, value: value.rawSpan,
            timestamp: Timestamp(milliseconds: 1_700_000_000_000 + Int64(number)))
    }

    private func keyIndex(of number: Int) -> Int {
        if keys.count == 1024 { return number & 1023 }
        var random = SplitMix(state: UInt64(number))
        return Int(random.next() % UInt64(keys.count))
    }

    /// Bytes of all batches.
    var byteCount: Int { batches.reduce(0) { $0 + $1.count } }

    /// Bytes of all batches before compression.
    var plainByteCount: Int { plainBatches.reduce(0) { $0 + $1.count } }

    /// Text like an event's, with digits that differ: LZ4 takes off about a third.
    private static func value(_ byteCount: Int, _ random: inout SplitMix) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < byteCount {
            let number = random.next()
            bytes += Array("{\"eventType\":\"STOCK_SHIPPED\",\"quantity\":\(number % 1000)".utf8)
            bytes += Array(",\"eventId\":\"\(String(number, radix: 36))".utf8)
            bytes += Array("\(String(random.next(), radix: 36))\"}".utf8)
        }
        return Array(bytes.prefix(byteCount))
    }

    private static func copy(_ span: RawSpan) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: span.byteCount) { buffer, count in
            span.withUnsafeBytes {
                buffer.baseAddress!.initialize(
                    from: $0.bindMemory(to: UInt8.self).baseAddress!, count: span.byteCount)
            }
            count = span.byteCount
        }
    }
}

/// Random numbers that are the same in each run (Steele, Lea and Flood's SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}
