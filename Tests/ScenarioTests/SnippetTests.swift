import Foundation
import Testing

/// Pages and doc comments show no Swift that does not compile.
@Suite("Snippets")
struct SnippetTests {
    private static let examples = "Tools/Examples"
    private static let inner = LayeringTests.inner

    private func text(_ path: String) throws -> String {
        String(decoding: try SourceTree.read(path), as: UTF8.self)
    }

    private func lines(of paths: [String]) throws -> [[String]] {
        try paths.map { try text($0).components(separatedBy: "\n") }
    }

    @Test("every Swift snippet of a page or a doc comment is in an example that is compiled")
    func areCompiled() throws {
        let folders = ["Engine", "StateStore", "Tools", "fixtures"]
        let paths =
            ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
            + (try SourceTree.paths(below: folders, extensions: ["md", "swift"]))
        let examples = try lines(
            of: SourceTree.paths(below: [Self.examples], extensions: ["swift"]))
        // The package within has sources, and a user's eye, of its own.
        let innerSources = try lines(
            of: SourceTree.paths(
                below: [Self.inner + "/Sources", Self.inner + "/Tests"], extensions: ["swift"]))
        var count = 0
        var problems: [String] = []
        for path in paths where !path.hasPrefix(Self.examples + "/") {
            let sources = path.hasPrefix(Self.inner + "/") ? innerSources : examples
            let bytes = try SourceTree.read(path)
            // Most files have none: taking them apart as text would take a minute.
            guard SnippetCheck.hasFence(bytes) else { continue }
            let page = String(decoding: bytes, as: UTF8.self)
            count += SnippetCheck.snippets(in: page, path: path).count { $0.language == "swift" }
            problems += SnippetCheck.problems(in: page, path: path, sources: sources)
        }
        #expect(problems.isEmpty, "\n\(problems.joined(separator: "\n"))")
        // Three of the README and those of the comments: they were found at all.
        #expect(count >= 12)
    }

    @Test("every folder of examples is a target, so that it is compiled with the tests")
    func areTargets() throws {
        let package = try text("Package.swift")
        let folders = try SourceTree.paths(below: [Self.examples], extensions: ["swift"]).map {
            $0.split(separator: "/").prefix(3).joined(separator: "/")
        }
        #expect(Set(folders).count >= 4)
        for folder in Set(folders) {
            #expect(package.contains("path: \"\(folder)\""), "\(folder) is no target")
        }
    }

    private static let page = """
        Text.
        ```swift
        let a = 1

        if a > 0 {
            print(a)
        }
        ```
        ```
        a plan
        ```
        """

    private func problems(_ source: String, page: String = page) -> [String] {
        SnippetCheck.problems(
            in: page, path: "made.md", sources: [source.components(separatedBy: "\n")])
    }

    @Test("the check finds a snippet at any indentation, and every line that differs")
    func check() {
        let exact = "let a = 1\n\nif a > 0 {\n    print(a)\n}"
        #expect(problems(exact).isEmpty)
        let within = "func f() {\n    let a = 1\n\n    if a > 0 {\n        print(a)\n    }\n}"
        #expect(problems(within).isEmpty)
        let missing = ["made.md:2: no compiled source contains this snippet"]
        #expect(problems("") == missing)
        #expect(problems(exact.replacingOccurrences(of: "print(a)", with: "print(b)")) == missing)
        #expect(problems(exact.replacingOccurrences(of: "\n\n", with: "\n")) == missing)
        #expect(problems(String(exact.dropLast(2))) == missing)
        #expect(problems("// " + exact) == missing)
        #expect(
            problems(exact.replacingOccurrences(of: "    print", with: "  print")) == missing)
        #expect(
            problems(exact, page: "```\nlet a = 1\n```")
                == ["made.md:1: Swift, and not marked as such"])
    }

    @Test("the check reads doc comments, of members too, and blocks that nobody ends")
    func comments() {
        let source = """
            /// Text.
            /// ```swift
            /// let a = 1
            /// ```
            struct A {
                /// ```swift
                /// for b in c {
                ///     print(b)
                /// }
                var d = "```"
                // ```
            }
            """
        let found = SnippetCheck.snippets(in: source, path: "Made.swift")
        #expect(found.map(\.line) == [2, 6] && found.allSatisfy { $0.language == "swift" })
        #expect(found.map(\.lines) == [["let a = 1"], ["for b in c {", "    print(b)", "}"]])
    }
}
