import Foundation
import Testing

@Suite("Style")
struct StyleTests {
    @Test("every source file keeps to the house style")
    func sources() throws {
        let paths = try SourceTree.paths(
            below: ["Engine", "StateStore", "Tools", "Tests"], extensions: ["swift", "c", "h"])
        #expect(paths.count > 20)
        let problems = try (paths + ["Package.swift"]).flatMap { path in
            StyleCheck.problems(path: path, bytes: try SourceTree.read(path))
        }
        #expect(problems.isEmpty, "\n\(problems.joined(separator: "\n"))")
    }

    @Test(
        "every folder that describes a format is named in ARCHITECTURE.md",
        .enabled(
            if: FileManager.default.fileExists(
                atPath: SourceTree.root.appendingPathComponent("ARCHITECTURE.md").path)))
    func formats() throws {
        let architecture = String(
            decoding: try SourceTree.read("ARCHITECTURE.md"), as: UTF8.self)
        for path in try SourceTree.paths(below: ["Engine", "StateStore"], extensions: ["md"])
        where path.hasSuffix("/FORMAT.md") {
            let folder = String(path.dropLast("/FORMAT.md".count))
            #expect(architecture.contains(folder), "ARCHITECTURE.md does not name \(folder)")
        }
    }

    static func problems(_ text: String, path: String = "Engine/Log/Made.swift") -> [String] {
        StyleCheck.problems(path: path, bytes: Array(text.utf8))
    }

    @Test("the check sees each offence")
    func offences() {
        #expect(Self.problems(String(repeating: "\n", count: 500)).isEmpty)
        #expect(
            Self.problems(String(repeating: "\n", count: 501)) == [
                "Engine/Log/Made.swift:501: more than 500 lines"
            ])
        #expect(Self.problems(String(repeating: "ä", count: 100)).isEmpty)
        #expect(
            Self.problems("\n" + String(repeating: "x", count: 101)) == [
                "Engine/Log/Made.swift:2: more than 100 columns"
            ])
        #expect(Self.problems("a\n// FIX" + "ME: later\n").count == 1)
        #expect(Self.problems("a\n// TO" + "DO later\n").count == 1)

        let pointer = "let a = withUnsafeBytes { $0 }\n"
        #expect(
            Self.problems("\n" + pointer) == [
                "Engine/Log/Made.swift:2: unsafe code has its own folders"
            ])
        #expect(Self.problems("unsafe f()\n").count == 1)
        #expect(Self.problems(pointer, path: "Engine/Files/Made.swift").isEmpty)
        #expect(Self.problems("// unsafe\nlet a = \"Unsafe\"\n").isEmpty)
    }

    @Test(
        "the check measures functions, whatever stands in them",
        arguments: [
            "func f() {", "init() throws {", "init?<T>(_ a: T) where T: A {", "deinit {",
            "subscript(a: Int) -> Int {", "func f(a: () -> Void = {}) {",
        ])
    func functionLengths(head: String) {
        func text(_ count: Int) -> String {
            let inside = [
                "    // }", "    let a = \"}\\(b { \"}\" })\"", "    let c = #\"}\"\\#\"#",
                "    if a { b() }", "    let d = \"\"\"\n        }\n        \"\"\"", "    /* } */",
            ]
            // Head, eight lines of the six pieces above, filling, closing brace.
            let filling = [String](repeating: "    x.init()", count: count - 10)
            return "struct S {\n" + ([head] + inside + filling + ["}"]).joined(separator: "\n")
                + "\nfunc g() {}\n}\n"
        }
        #expect(Self.problems(text(70)).isEmpty)
        #expect(
            Self.problems(text(71)) == [
                "Engine/Log/Made.swift:2: a function of 71 lines, more than 70"
            ])
    }

    @Test("a requirement of a protocol has no body")
    func requirements() {
        let text =
            "protocol P {\n    func f()\n    init()\n}\nstruct S {\n"
            + String(repeating: "    var a: Int { 1 }\n", count: 80) + "}\n"
        #expect(Self.problems(text).isEmpty)
    }

    @Test("functions in C are measured too")
    func c() {
        func text(_ count: Int) -> String {
            "struct s {\n" + String(repeating: "    int a;\n", count: 80) + "};\n"
                + "int a[] = {1};\n\nstatic int f(int a) {\n"
                + String(repeating: "    if (a) { a++; }\n", count: count - 2) + "}\n"
        }
        #expect(Self.problems(text(70), path: "Engine/CChecksum/made.c").isEmpty)
        #expect(
            Self.problems(text(71), path: "Engine/CChecksum/made.c") == [
                "Engine/CChecksum/made.c:85: a function of 71 lines, more than 70"
            ])
    }
}
