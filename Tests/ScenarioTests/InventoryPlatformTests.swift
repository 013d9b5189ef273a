import Foundation
import TallyTestSupport
import Testing

/// The example package, built and run as a user would; its own tests are a step of `make test`.
///
/// The folder that it is built in is kept from run to run: the first build compiles the engine and
/// its dependencies once more, which takes minutes, and later ones seconds.
@Suite("The inventory platform", .timeLimit(.minutes(20)))
struct InventoryPlatformTests {
    private static let root = Fixtures.repositoryURL
    private static let package = root.appendingPathComponent("Tools/InventoryPlatform")
    private static let scratch = root.appendingPathComponent(".build/inventory-platform")

    private func run(_ program: String, _ arguments: [String]) throws -> (String, Int32) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardOutput = output
        try process.run()
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (String(decoding: bytes, as: UTF8.self), process.terminationStatus)
    }

    @Test("it builds from outside, does what its README shows, and run again counts nothing twice")
    func example() throws {
        let (messages, status) = try run(
            "swift",
            [
                "build", "--package-path", Self.package.path, "--scratch-path",
                Self.scratch.path, "--product", "inventory-platform",
            ])
        try #require(status == 0, "\(messages)")

        let temporary = try TemporaryDirectory()
        let arguments = [
            "run", "--rows", Fixtures.path("online-retail-slice.csv"), "--data",
            temporary.path("data"),
        ]
        let program = Self.scratch.appendingPathComponent("debug/inventory-platform").path
        let (first, firstStatus) = try run(program, arguments)
        #expect(firstStatus == 0)
        let readme = try String(
            contentsOf: Self.package.appendingPathComponent("README.md"), encoding: .utf8)
        #expect(readme.contains("```\n\(first)```"), "\(first)")

        let (second, secondStatus) = try run(program, arguments)
        #expect(secondStatus == 0)
        let known = first.replacing(
            "701 accepted, 0 known already", with: "0 accepted, 701 known already"
        ).replacing("10 accepted, 0 known already", with: "0 accepted, 10 known already")
        #expect(second == known)
    }
}
