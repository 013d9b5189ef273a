import NIOCore
import Tally
import TallyWire
import Testing

@testable import TallyServer

@Suite("Answers piece by piece", .timeLimit(.minutes(10)))
struct AnswerWriterTests {
    /// What a writer hands out: bytes as they are, and `file` for what the system sends.
    private func pieces(_ answer: Answer, files: FileAllowance) throws -> [String] {
        var writer = AnswerWriter(answer, files: files)
        var pieces: [String] = []
        while let piece = writer.next(ByteBufferAllocator()) {
            switch piece {
            case .bytes(let bytes): pieces.append("\(bytes.readableBytes)")
            case .file(let region, let file):
                pieces.append("file \(region.readableBytes)")
                try file.close()
            }
        }
        return pieces
    }

    @Test("long runs go by file while there are descriptors for it, others are copied")
    func files() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            var sizes: [Int] = []
            for (partition, length) in [(Int32(0), 700_000), (1, 1000)] {
                let records = try batch([String(repeating: "x", count: length)])
                _ = try await client.produce(records, to: "t", partition: partition)
                sizes.append(records.count)
            }
            let slices = try (Int32(0)..<2).map { partition in
                let log = try served.engine.partition(partition, of: "t").log
                return try #require(try log.read(from: .zero, bytesMax: 1 << 20))
            }
            let answer = Answer(
                [UInt8](repeating: 1, count: 30), gaps: [10, 20], filledBy: slices)
            #expect(answer.byteCount == 30 + sizes[0] + sizes[1])
            let allowance = FileAllowance(count: 1)
            // The length and what is before the first gap; the file; the rest.
            #expect(
                try pieces(answer, files: allowance) == [
                    "14", "file \(sizes[0])", "\(20 + sizes[1])",
                ])
            // It was taken, and not given back: copied, in pieces of 256 KiB.
            let copied = try pieces(answer, files: allowance)
            #expect(copied.allSatisfy { !$0.hasPrefix("file") })
            #expect(copied.compactMap { Int($0) }.reduce(0, +) == 4 + answer.byteCount)
            #expect(copied.allSatisfy { Int($0) ?? 0 <= 256 << 10 })
        }
    }
}
