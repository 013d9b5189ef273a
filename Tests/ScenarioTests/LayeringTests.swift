import Foundation
import Testing

@Suite("Layering")
struct LayeringTests {
    /// The package within this one: an example with a Package.swift of its own.
    static let inner = "Tools/InventoryPlatform"

    /// What SwiftPM makes of the Package.swift of this package, or of one within. It works in a
    /// folder of its own, since the one of the package is locked while tests run.
    static func packageDescription(in folder: String = "") throws -> Data {
        let scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("tally-layering-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "swift", "package", "--package-path",
            SourceTree.root.appendingPathComponent(folder).path, "--scratch-path", scratch.path,
            "dump-package",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let json = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "swift package dump-package failed")
        return json
    }

    @Test("every import is one that Package.swift allows")
    func sources() throws {
        let check = try LayeringCheck(packageDescription: Self.packageDescription())
        #expect(check.targets.contains { $0.name == "Tally" && $0.path == "Engine/Core" })
        let paths = try SourceTree.paths(
            below: ["Engine", "StateStore", "Tools", "Tests"], extensions: ["swift"]
        ).filter { !$0.hasPrefix(Self.inner + "/") }
        let files = try paths.map { (path: $0, bytes: try SourceTree.read($0)) }
        let findings = check.findings(in: files).map(\.description)
        #expect(findings.isEmpty, "\n\(findings.joined(separator: "\n"))")
        for unused in check.unusedDependencies(in: files) {
            print("note: Package.swift declares a dependency that no source imports: \(unused)")
        }
    }

    @Test("the example package imports what its own Package.swift allows, and only products")
    func example() throws {
        let check = try LayeringCheck(packageDescription: Self.packageDescription(in: Self.inner))
        let paths = try SourceTree.paths(below: [Self.inner], extensions: ["swift"])
            .filter { $0 != Self.inner + "/Package.swift" }
        #expect(paths.count > 15)
        let files = try paths.map { path in
            (path: String(path.dropFirst(Self.inner.count + 1)), bytes: try SourceTree.read(path))
        }
        let findings = check.findings(in: files).map(\.description)
        #expect(findings.isEmpty, "\n\(findings.joined(separator: "\n"))")
        // A user sees no other module of ours.
        let products: Set = ["Tally", "TallyStateStore"]
        for target in check.targets {
            for name in target.dependencies where name.hasPrefix("Tally") {
                #expect(products.contains(name), "\(target.name) depends on \(name)")
            }
        }
        // And the package around it builds nothing of it.
        let outer = try LayeringCheck(packageDescription: Self.packageDescription())
        #expect(!outer.targets.contains { $0.path.hasPrefix(Self.inner) })
    }

    static let check = LayeringCheck(targets: [
        .init(name: "Low", path: "Engine/Files", dependencies: []),
        .init(name: "High", path: "Engine/Core", dependencies: ["Low", "Logging"]),
        .init(name: "HighTests", path: "Tests/CoreTests", dependencies: ["High"]),
    ])

    static func findings(_ path: String, _ text: String) -> [String] {
        check.findings(in: [(path, Array(text.utf8))]).map(\.description)
    }

    @Test(
        "an import upwards is found, however it is written",
        arguments: [
            "import High", "public import High", "package import High", "@testable import High",
            "@_exported public import High", "@preconcurrency internal import High",
            "@_spi(Raw) import High", "import struct High.Engine", "import High.Inner",
            "let a = 1; import High", "  import\tHigh // why", "/* why */ import High",
        ])
    func upwards(statement: String) {
        #expect(
            Self.findings("Engine/Files/File.swift", "#if os(Linux)\n\(statement)\n#endif\n") == [
                "Engine/Files/File.swift:2: Low may not import High: Package.swift lets it depend "
                    + "on nothing"
            ])
    }

    @Test("what only looks like an import is none")
    func lookAlikes() {
        let text = """
            // import High
            /* import High
            import High */
            let a = "import High"
            let b = \"""
            import High
            \"""
            #if canImport(High)
            #endif
            func important(High: Int) {}
            """
        #expect(Self.findings("Engine/Files/File.swift", text).isEmpty)
    }

    @Test("declared modules and those of the toolchain may be imported, each where it belongs")
    func allowed() {
        let core = "import Low\nimport Logging\nimport Foundation\nimport Synchronization\n"
        #expect(Self.findings("Engine/Core/Engine.swift", core).isEmpty)
        #expect(Self.findings("Tests/CoreTests/A.swift", "import Testing\nimport High").isEmpty)
        #expect(Self.findings("Engine/Files/System.swift", "import Darwin").isEmpty)

        #expect(
            Self.findings("Engine/Files/File.swift", "import FoundationEssentials") == [
                "Engine/Files/File.swift:1: FoundationEssentials may not be imported in "
                    + "Engine/Files"
            ])
        #expect(
            Self.findings("Engine/Core/Engine.swift", "import Testing") == [
                "Engine/Core/Engine.swift:1: Testing is for tests"
            ])
        #expect(
            Self.findings("Engine/Core/Engine.swift", "\nimport GRDB") == [
                "Engine/Core/Engine.swift:2: High may not import GRDB: Package.swift lets it "
                    + "depend on Low, Logging"
            ])
        // Not even what a dependency depends on.
        #expect(Self.findings("Tests/CoreTests/A.swift", "import Low").count == 1)
        #expect(
            Self.findings("Engine/Stray/A.swift", "import Low") == [
                "Engine/Stray/A.swift:1: is in no target of Package.swift"
            ])
    }

    @Test("a dependency that nothing imports is told")
    func unused() {
        let files = [(path: "Engine/Core/Engine.swift", bytes: Array("import Low\n".utf8))]
        #expect(Self.check.unusedDependencies(in: files) == ["High: Logging", "HighTests: High"])
    }

    @Test("SwiftPM's description is understood")
    func description() throws {
        let json = """
            {"name": "p", "targets": [{"name": "A", "path": "Engine/A", "type": "regular",
            "dependencies": [{"byName": ["B", null]}, {"product": ["C", "c", null, null]},
            {"target": ["D", {"platformNames": ["linux"]}]}]}, {"name": "B", "dependencies": []}]}
            """
        #expect(
            try LayeringCheck(packageDescription: Data(json.utf8)).targets == [
                .init(name: "A", path: "Engine/A", dependencies: ["B", "C", "D"]),
                .init(name: "B", path: "", dependencies: []),
            ])
    }
}
