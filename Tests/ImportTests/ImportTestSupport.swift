import Foundation

@testable import TallyImport

/// Bytes from memory, handed out in pieces: cut at `cuts`, or `pieceBytes` at a time.
struct PiecewiseSource: ByteSource {
    let bytes: [UInt8]
    var cuts: [Int] = []
    var pieceBytes = Int.max
    var position = 0

    init(_ bytes: [UInt8], cuts: [Int] = [], pieceBytes: Int = .max) {
        self.bytes = bytes
        self.cuts = cuts.sorted()
        self.pieceBytes = pieceBytes
    }

    mutating func read(into buffer: inout [UInt8], from start: Int) throws -> Int {
        let cut = cuts.first { $0 > position } ?? bytes.count
        let count = min(cut - position, pieceBytes, buffer.count - start, bytes.count - position)
        for index in 0..<count {
            buffer[start + index] = bytes[position + index]
        }
        position += count
        return count
    }
}

/// What a reader gave: a row with its line, or an error.
enum CSVOutcome: Equatable {
    case row(Int, [String])
    case bad(Int, RowErrorReason)
}

/// Everything that the reader gives for these bytes, errors included, going on after each.
func outcomes(
    _ source: PiecewiseSource, rowBytesMax: Int = 1 << 20, bufferBytes: Int = 256 << 10,
    fieldCount: Int? = nil
) throws -> [CSVOutcome] {
    var reader = CSVReader(source: source, rowBytesMax: rowBytesMax, bufferBytes: bufferBytes)
    reader.fieldCount = fieldCount
    var outcomes: [CSVOutcome] = []
    while true {
        do {
            guard try reader.next() else { return outcomes }
            let fields = reader.fields.map { String(decoding: reader.buffer[$0], as: UTF8.self) }
            outcomes.append(.row(reader.line, fields))
        } catch let error as RowError {
            outcomes.append(.bad(error.line, error.reason))
        }
    }
}

func outcomes(_ text: String, rowBytesMax: Int = 1 << 20, fieldCount: Int? = nil) throws
    -> [CSVOutcome]
{
    try outcomes(
        PiecewiseSource(Array(text.utf8)), rowBytesMax: rowBytesMax, fieldCount: fieldCount)
}

/// A reader that stands on the one row of a table.
func readerOnRow(_ header: [String], _ fields: [String]) throws -> CSVReader {
    let lines = [header, fields].map { row in
        row.map { "\"\($0.replacingOccurrences(of: "\"", with: "\"\""))\"" }.joined(separator: ",")
    }
    var reader = CSVReader(
        source: PiecewiseSource(Array(lines.joined(separator: "\n").utf8)))
    _ = try reader.readHeader()
    _ = try reader.next()
    return reader
}

func fixturePath(_ name: String) -> String {
    URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("fixtures").appendingPathComponent(name).path
}

/// The seed of a random test: TALLY_SEED, or a new one. It is printed either way.
func testSeed(_ test: String = #function) -> UInt64 {
    let given = ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap { UInt64($0) }
    let seed = given ?? UInt64.random(in: 0 ... .max)
    print("\(test): TALLY_SEED=\(seed)")
    return seed
}

/// The splitmix64 generator: small, and the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
