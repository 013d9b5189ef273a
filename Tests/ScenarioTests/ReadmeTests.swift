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
            try run(in: temporary.path) == """
                stored in partition 1 at offset 0
                0 GOT-01:SKU-101 received 12

                """)
        // Run again, it appends to what is there.
        #expect(try run(in: temporary.path).hasPrefix("stored in partition 1 at offset 1\n"))
    }

    private func text(_ path: String) throws -> String {
        let url = Fixtures.repositoryURL.appendingPathComponent(path)
        return try String(contentsOf: url, encoding: .utf8)
    }

    private func run(in directory: String) throws -> String {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("TallyExample")
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
