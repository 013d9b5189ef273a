import Foundation
import TallyRecords
import TallyTestSupport

/// The golden partitions in `fixtures/kafka-golden`.
enum Golden {
    static let fixtures = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("fixtures")
    static let root = fixtures.appendingPathComponent("kafka-golden")

    static let topics = [
        "golden-append-time", "golden-compacted", "golden-gzip", "golden-idempotent",
        "golden-lz4", "golden-plain", "golden-snappy", "golden-transactions", "golden-zstd",
    ]

    /// Those whose records this build reads.
    static let readable = topics.filter { topic in
        !Codec.missing.contains { topic == "golden-\($0)" }
    }

    /// Whole batches of a partition, in order, each with the file and position it is from.
    static func batches(of topic: String) throws -> [(file: String, position: Int, bytes: [UInt8])]
    {
        let directory = root.appendingPathComponent("partitions/\(topic)-0")
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            .filter { $0.hasSuffix(".log") }.sorted()
        var found: [(file: String, position: Int, bytes: [UInt8])] = []
        for file in files {
            let bytes = [UInt8](try Data(contentsOf: directory.appendingPathComponent(file)))
            var position = 0
            while position < bytes.count {
                let batch = try RecordBatch(bytes.span.bytes, at: position)
                found.append((file, position, batch.bytes.array))
                position += batch.header.sizeInBytes
            }
        }
        return found
    }

    /// One line of `expected/*.batches.jsonl`.
    struct Batch: Decodable {
        var file: String
        var position: Int
        var size: Int
        var baseOffset: Int64
        var lastOffset: Int64
        var count: Int32
        var baseSequence: Int32
        var lastSequence: Int32
        var producerId: Int64
        var producerEpoch: Int16
        var partitionLeaderEpoch: Int32
        var isTransactional: Bool
        var isControl: Bool
        var deleteHorizonMs: String
        var createTime: Int64?
        var logAppendTime: Int64?
        var magic: UInt8
        var compresscodec: String
        var crc: UInt32

        enum CodingKeys: String, CodingKey {
            case file, position, size, baseOffset, lastOffset, count, baseSequence, lastSequence
            case producerId, producerEpoch, partitionLeaderEpoch, isTransactional, isControl
            case deleteHorizonMs, magic, compresscodec, crc
            case createTime = "CreateTime"
            case logAppendTime = "LogAppendTime"
        }
    }

    /// One line of `expected/*.read_*.jsonl`.
    struct Record: Decodable {
        var offset: Int64
        var timestamp: Int64
        var timestampType: String
        var key: String?
        var value: String?
        var headers: [[String?]]

        var plain: PlainRecord {
            func bytes(_ text: String?) -> [UInt8]? {
                text.map { [UInt8](Data(base64Encoded: $0)!) }
            }
            return PlainRecord(
                offset: offset, timestamp: timestamp, key: bytes(key), value: bytes(value),
                headers: headers.map {
                    PlainHeader(key: [UInt8]($0[0]!.utf8), value: bytes($0[1]))
                })
        }
    }

    static func expectedBatches(of topic: String) throws -> [Batch] {
        try lines("expected/\(topic)-0.batches.jsonl")
    }

    static func expectedRecords(of topic: String) throws -> [Record] {
        try lines("expected/\(topic).read_uncommitted.jsonl")
    }

    private static func lines<Line: Decodable>(_ path: String) throws -> [Line] {
        let text = try Data(contentsOf: root.appendingPathComponent(path))
        let decoder = JSONDecoder()
        return try text.split(separator: UInt8(ascii: "\n")).map {
            try decoder.decode(Line.self, from: Data($0))
        }
    }
}
