import Foundation
import Tally
import Testing

/// The engine as this package gets it: with none of its traits, so with LZ4 and no other codec.
@Suite("The engine without package traits")
struct DefaultBuildTests {
    static let missing: [(codec: Codec, trait: String)] = [
        (.gzip, "Gzip"), (.snappy, "Snappy"), (.zstd, "Zstd"),
    ]

    /// A directory with the partition that Kafka wrote with a codec.
    private func directory(_ codec: Codec) throws -> URL {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("tally-default-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let name = "golden-\(codec)-0"
        try FileManager.default.copyItem(
            at: root.appendingPathComponent("fixtures/kafka-golden/partitions/\(name)"),
            to: directory.appendingPathComponent(name))
        return directory
    }

    @Test(
        "batches of other codecs are passed on whole, and an error names the trait to build with",
        arguments: missing)
    func otherCodecs(codec: Codec, trait: String) async throws {
        let directory = try directory(codec)
        defer { try? FileManager.default.removeItem(at: directory) }
        let engine = try await Engine.open(at: directory.path)
        let advice = "codec not supported: \(codec); build with the package trait \(trait)"
        var count = 0
        let reading = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: "golden-\(codec)", reading) {
            try records.forEachBatch {
                #expect($0.header.codec == codec)
                count += Int($0.header.recordCount)
            }
            let error = #expect(throws: RecordError.self) { try records.forEachRecord { _ in } }
            #expect(error?.kind == .codecNotSupported(codec) && error?.description == advice)
        }
        #expect(count == 200)

        var writing = ProducerConfiguration()
        writing.compression = codec
        #expect(text { _ = try engine.producer(writing) }.contains(advice))
        let setting = ["compression.type": "\(codec)"]
        #expect(text { _ = try TopicConfiguration(setting) }.contains(advice))
        try await engine.close()
    }

    private func text(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }
}
