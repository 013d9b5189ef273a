import Foundation
import TallyRecords

/// The batches of a partition as they lie in a member's files, of whichever segments.
enum ReplicaFiles {
    /// The bytes of all batches before an offset. The member must have been stopped.
    static func batches(of partition: String, in data: String, before end: Offset) throws -> Data {
        let folder = URL(fileURLWithPath: data).appendingPathComponent(partition)
        let segments = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".log") }.sorted()
        var found = Data()
        for segment in segments {
            let bytes = Array(try Data(contentsOf: folder.appendingPathComponent(segment)))
            var at = 0
            while bytes.count - at >= RecordBatchHeader.byteCount,
                let header = try? RecordBatchHeader(decoding: bytes.rawSpan, at: at),
                header.lastOffset < end
            {
                found += bytes[at..<at + header.sizeInBytes]
                at += header.sizeInBytes
            }
        }
        return found
    }
}
