import Foundation
import TallyTestSupport
import Testing

/// What the README shows is what is run.
@Suite("The README")
struct ReadmeTests {
    @Test("the Swift snippet is the example program, and the program does what it says")
    func snippet() throws {
        let readme = try text("README.md")
        let example = try text("Tools/Examples/AppendAndRead/main.swift")
        #expect(readme.contains("```swift\n\(example)```"))

        let temporary = try TemporaryDirectory()
        #expect(
            try run("TallyExample", in: temporary.path) == """
                stored in partition 1 at offset 0
                0 GOT-01:SKU-101 received 12

                """)
        // Run again, it appends to what is there.
        #expect(
            try run("TallyExample", in: temporary.path)
                .hasPrefix("stored in partition 1 at offset 1\n"))
    }

    @Test("the snippet with groups and transactions runs, and does each order once")
    func transactions() throws {
        let readme = try text("README.md")
        let example = try text("Tools/Examples/ReadProcessWrite/main.swift")
        #expect(readme.contains("```swift\n\(example)```"))
        let temporary = try TemporaryDirectory()
        // Run again, it goes on behind the first order.
        for _ in 0..<2 {
            #expect(
                try run("TallyTransactionExample", in: temporary.path)
                    == "reserving 2 pieces of GOT-01:SKU-101\n")
        }
    }

    @Test("the snippet with rows of its own database makes one bill of each order")
    func counting() throws {
        let readme = try text("README.md")
        let example = try text("Tools/Examples/CountOnce/main.swift")
        #expect(readme.contains("```swift\n\(example)```"))
        let temporary = try TemporaryDirectory()
        // Each run adds an order, and bills that alone.
        for count in 1...3 {
            let output = try run("TallyCountingExample", in: temporary.path)
            #expect(output == "bills: \(count)\n")
        }
    }

    private func text(_ path: String) throws -> String {
        let url = Fixtures.repositoryURL.appendingPathComponent(path)
        return try String(contentsOf: url, encoding: .utf8)
    }

    private func run(_ program: String, in directory: String) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent(program)
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return text
    }
}
