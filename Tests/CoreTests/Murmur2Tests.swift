import Foundation
import Testing

@testable import Tally

@Suite("Murmur2")
struct Murmur2Tests {
    /// One line of fixtures/murmur2.tsv, which Kafka's own Java client computed.
    struct Vector {
        let key: [UInt8]
        let hash: Int32
        let partitionOf12: Int32
        let partitionOf1000: Int32
    }

    static func vectors() throws -> [Vector] {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let file = root.appendingPathComponent("fixtures/murmur2.tsv")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        return try lines.dropFirst().map { line in
            let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
            try #require(columns.count == 4)
            return Vector(
                key: try #require(bytes(hexadecimal: columns[0])),
                hash: try #require(Int32(columns[1])),
                partitionOf12: try #require(Int32(columns[2])),
                partitionOf1000: try #require(Int32(columns[3])))
        }
    }

    static func bytes(hexadecimal text: Substring) -> [UInt8]? {
        guard text.utf8.count.isMultiple(of: 2) else { return nil }
        var rest = text
        var bytes: [UInt8] = []
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    @Test("the hash and the partition of every key are those of Kafka's client")
    func vectorsOfKafkasClient() throws {
        let vectors = try Self.vectors()
        #expect(vectors.count == 568)
        for vector in vectors {
            let key = vector.key.span.bytes
            #expect(Murmur2.hash(key) == vector.hash, "key \(vector.key)")
            #expect(Murmur2.partition(forKey: key, count: 12) == vector.partitionOf12)
            #expect(Murmur2.partition(forKey: key, count: 1000) == vector.partitionOf1000)
        }
        // Negative hashes and every length of the last, incomplete word are among them.
        #expect(vectors.contains { $0.hash < 0 })
        #expect(Set(vectors.map { $0.key.count % 4 }) == [0, 1, 2, 3])
    }

    @Test("a topic with one partition takes every key")
    func onePartition() throws {
        for vector in try Self.vectors() {
            #expect(Murmur2.partition(forKey: vector.key.span.bytes, count: 1) == 0)
        }
    }
}
