import Foundation
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// The examples of FORMAT.md are the bytes of the fixture that it names.
@Suite("FORMAT.md", .verifiesLogs)
struct FormatTests {
    private static func page() throws -> String {
        let url = Fixtures.repositoryURL.appendingPathComponent("Engine/Log/FORMAT.md")
        return try String(contentsOf: url, encoding: .utf8)
    }

    private static func example() throws -> [String: [UInt8]] {
        let golden = try #require(Golden.all.first { $0.topic == "golden-idempotent" })
        return try golden.contents()
    }

    /// Rows of numbers in hexadecimal, as the page shows them.
    private static func block(_ bytes: [UInt8], widths: [Int]) -> String {
        let rows = DirectoryCheck.numbers(bytes, widths: widths).map { row in
            zip(row, widths).map { number, width in
                let digits = String(number, radix: 16)
                return String(repeating: "0", count: 2 * width - digits.count) + digits
            }.joined(separator: " ")
        }
        return "```\n" + rows.joined(separator: "\n") + "\n```"
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>, _ widths: [Int]) -> String {
        var rest = bytes
        return widths.map { width in
            defer { rest = rest.dropFirst(width) }
            return rest.prefix(width).map { String(format: "%02x", $0) }.joined()
        }.joined(separator: " ")
    }

    @Test("the worked example shows the bytes of the fixture")
    func workedExample() throws {
        let (page, files) = (try Self.page(), try Self.example())
        let offsets = try #require(files[SegmentName.file(.zero, .offsetIndex)])
        let times = try #require(files[SegmentName.file(.zero, .timeIndex)])
        #expect(page.contains(Self.block(offsets, widths: [4, 4])))
        #expect(page.contains(Self.block(times, widths: [8, 4])))
        #expect(DirectoryCheck.numbers(offsets, widths: [4, 4]) == [[109, 4124], [209, 8388]])
        #expect(
            DirectoryCheck.numbers(times, widths: [8, 4]) == [
                [1_291_196_460_000, 109], [1_291_197_780_000, 199], [1_291_200_720_000, 299],
            ])
        let snapshot = try #require(files[SegmentName.file(Offset(300), .producerSnapshot)])
        let rows = [snapshot[..<10], snapshot[10...]]
        let widths = [[2, 4, 4], [8, 2, 4, 8, 4, 8, 4, 8]]
        let text = zip(rows, widths).map { row, widths in Self.hexadecimal(row, widths) }
        #expect(page.contains("```\n" + text.joined(separator: "\n") + "\n```"))
        for name in [LeaderEpochs.fileName, PartitionMetadata.fileName] {
            let text = String(decoding: try #require(files[name]), as: UTF8.self)
            #expect(page.contains("```\n" + text + (text.hasSuffix("\n") ? "```" : "\n```")))
        }
    }

    @Test("every file name of the page is one that the code uses")
    func names() throws {
        let page = try Self.page()
        let names =
            SegmentName.Ending.allCases.map(\.rawValue)
            + OffsetCheckpoint.Name.allCases.map(\.rawValue)
            + [LeaderEpochs.fileName, PartitionMetadata.fileName]
            + [SegmentName.cut(Offset(3300), at: FilePosition(812)), "sync-failed"]
        for name in names { #expect(page.contains(name), "\(name)") }
    }
}
