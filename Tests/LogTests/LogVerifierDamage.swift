import TallyLog
import TallyRecords
import Testing

/// One kind of damage: what is done to a copy of a golden partition, and how it must be reported.
struct LogDamage: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var partition: String
    var file: String
    /// The position that must be reported; nil where it follows from the damage's own result.
    var position: Int
    var severity: LogProblem.Severity
    /// A part of the reason.
    var reason: String
    /// Whether nothing else may be reported.
    var isOnly = true
    var apply: @Sendable (GoldenPartition) throws -> Void
}

private let first = "00000000000000000000"
private let second = "00000000000000003300"

// The third batch of golden-lz4's first segment: bytes 2194 to 3346, offsets 100 to 149.
private let third = 2194

extension LogDamage {
    static let all: [LogDamage] = [
        batches, ends, offsetIndexes, indexes, timeIndexes, others,
    ].flatMap { $0 }

    private static func lz4(
        _ name: String, _ file: String = first + ".log", at position: Int = third,
        as severity: LogProblem.Severity = .damage, says reason: String, isOnly: Bool = true,
        _ apply: @escaping @Sendable (inout [UInt8]) throws -> Void
    ) -> LogDamage {
        LogDamage(
            testDescription: name, partition: "golden-lz4-0", file: file, position: position,
            severity: severity, reason: reason, isOnly: isOnly
        ) { try $0.edit(file, apply) }
    }

    static let batches: [LogDamage] = [
        lz4("a flipped bit in a record", says: "checksum mismatch") { $0[third + 300] ^= 1 },
        lz4("a flipped bit in a header", says: "checksum mismatch") { $0[third + 44] ^= 4 },
        lz4("a flipped bit in the stored checksum", says: "checksum mismatch") {
            $0[third + 18] ^= 4
        },
        lz4("a wrong magic", says: "wrong magic 1") { $0[third + 16] = 1 },
        lz4("a length that is too small", says: "checksum mismatch") {
            $0.store(Int32(500), at: third + 8)
        },
        lz4("a length that is too large", says: "checksum mismatch") {
            $0.store(Int32(20_000), at: third + 8)
        },
        lz4("a length beyond the file", says: "truncated") { $0.store(Int32.max, at: third + 8) },
        lz4("a codec that does not exist", says: "attributes") { $0[third + 22] = 7 },
        lz4("a hole of zeros", says: "no batch begins here") {
            $0.replaceSubrange(third..<third + 700, with: repeatElement(0, count: 700))
        },
        lz4("a base offset that goes back", says: "begins at offset 7,") {
            $0.store(Int64(7), at: third)
        },
        lz4("a base offset that jumps ahead", says: "the one behind it at 150") {
            $0.store(Int64(1_000_000), at: third)
        },
        lz4("a base offset too far for an index", second + ".log", at: 34_536, says: "too far") {
            $0.store(Int64(1) << 40, at: 34_536)
        },
        LogDamage(
            testDescription: "a malformed record under a right checksum",
            partition: "golden-plain-0", file: first + ".log", position: 0, severity: .damage,
            reason: "truncated"
        ) {
            try $0.edit(first + ".log") {
                // The length of the first record.
                $0[61] = 0
                $0.mendChecksum(0..<5268)
            }
        },
        lz4("a batch that is there twice", at: 3346, says: "begins at offset 100", isOnly: false) {
            $0.insert(contentsOf: $0[third..<3346], at: 3346)
        },
        lz4("two batches swapped", says: "begins at offset 150", isOnly: false) {
            let batch = Array($0[third..<3346])
            $0.removeSubrange(third..<3346)
            $0.insert(contentsOf: batch, at: third + 1190)
        },
        lz4("a leader epoch that falls", at: 3346, says: "before it has 3", isOnly: false) {
            $0.store(Int32(3), at: third + 12)
        },
    ]

    static let ends: [LogDamage] = [
        lz4(
            "a torn tail", second + ".log", at: 34_536, as: .mendable,
            says: "beginning of a batch"
        ) {
            $0.removeLast(10)
        },
        lz4(
            "a few stray bytes behind the log", second + ".log", at: 35_632, as: .mendable,
            says: "last 5"
        ) {
            $0 += [1, 2, 3, 4, 5]
        },
        lz4(
            "many stray bytes behind the log", second + ".log", at: 35_632,
            says: "are no batch"
        ) {
            $0 += repeatElement(0xAB, count: 5000)
        },
        lz4(
            "zeros behind the log", second + ".log", at: 35_632, as: .mendable,
            says: "zero bytes"
        ) {
            $0 += repeatElement(0, count: 5000)
        },
        lz4("a closed segment that is cut", at: 64_215, says: "are no batch") { $0.removeLast(10) },
        LogDamage(
            testDescription: "a segment in the place of another", partition: "golden-lz4-0",
            file: "00000000000000003200.log", position: 0, severity: .damage,
            reason: "reaches to 3299", isOnly: false
        ) {
            for ending in [".log", ".index", ".timeindex"] {
                try $0.rename(second + ending, to: "00000000000000003200" + ending)
            }
        },
        LogDamage(
            testDescription: "a batch before its segment's base", partition: "golden-lz4-0",
            file: "00000000000000004000.log", position: 0, severity: .damage,
            reason: "before its segment's 4000", isOnly: false
        ) { try $0.rename(second + ".log", to: "00000000000000004000.log") },
        LogDamage(
            testDescription: "a name that is none", partition: "golden-lz4-0",
            file: "3300.log", position: 0, severity: .damage, reason: "20 digits", isOnly: false
        ) { try $0.rename(second + ".log", to: "3300.log") },
    ]

    static let offsetIndexes: [LogDamage] = [
        lz4(
            "an index entry into a batch", first + ".index", at: 16, as: .mendable,
            says: "no batch begins"
        ) {
            $0[23] ^= 1
        },
        lz4(
            "an index entry that leads behind its offset", first + ".index", at: 0,
            as: .mendable, says: "behind that offset"
        ) {
            $0[3] = 30
        },
        lz4(
            "an index entry with another batch's offset", first + ".index", at: 16,
            as: .mendable, says: "names offset 198"
        ) {
            $0[19] -= 1
        },
        lz4(
            "index entries that do not rise", first + ".index", at: 24, as: .mendable,
            says: "not rise"
        ) {
            $0.replaceSubrange(24..<32, with: $0[16..<24])
        },
        lz4(
            "an index full of zeros", first + ".index", at: 0, as: .mendable,
            says: "zero bytes"
        ) {
            $0 = $0.map { _ in 0 }
        },
        lz4(
            "an index with zeros at its end", first + ".index", at: 160, as: .mendable,
            says: "zero bytes"
        ) {
            $0.replaceSubrange(160..., with: repeatElement(0, count: $0.count - 160))
        },
        lz4(
            "an index with a torn end", first + ".index", at: 320, as: .mendable,
            says: "no whole entry"
        ) {
            $0.removeLast(3)
        },
        lz4(
            "an index entry behind the log", second + ".index", at: 208, as: .mendable,
            says: "behind"
        ) {
            $0 += [0, 0, 16, 0, 0, 1, 0, 0] as [UInt8]
        },
    ]

    static let indexes: [LogDamage] = [
        LogDamage(
            testDescription: "the index of another segment", partition: "golden-lz4-0",
            file: first + ".index", position: 0, severity: .mendable, reason: "no batch begins",
            isOnly: false
        ) { try $0.write(try $0.bytes(second + ".index"), to: first + ".index") },
        LogDamage(
            testDescription: "no index", partition: "golden-lz4-0", file: first + ".index",
            position: 0, severity: .mendable, reason: "missing"
        ) { try $0.remove(first + ".index") },
        LogDamage(
            testDescription: "no time index", partition: "golden-lz4-0",
            file: first + ".timeindex", position: 0, severity: .mendable, reason: "missing",
            isOnly: false
        ) { try $0.remove(first + ".timeindex") },
        LogDamage(
            testDescription: "an index without a segment", partition: "golden-lz4-0",
            file: "00000000000000009000.index", position: 0, severity: .mendable,
            reason: "no segment"
        ) { try $0.write([], to: "00000000000000009000.index") },
    ]

    static let timeIndexes: [LogDamage] = [
        lz4(
            "a time index that lies", first + ".timeindex", at: 24, as: .mendable,
            says: "largest timestamp"
        ) { $0[31] ^= 1 },
        lz4(
            "a time index with another offset", first + ".timeindex", at: 24, as: .mendable,
            says: "largest timestamp"
        ) {
            $0[35] = 0xF0
        },
        lz4(
            "a time index without its final entry", first + ".timeindex", at: 336,
            as: .mendable, says: "final"
        ) { $0.removeLast(12) },
        lz4(
            "time entries that do not rise", first + ".timeindex", at: 36, as: .mendable,
            says: "not rise"
        ) {
            $0.replaceSubrange(36..<48, with: $0[12..<24])
        },
    ]
}
