import Foundation

/// Compares what the sources import with what Package.swift lets them depend on.
///
/// The compiler itself lets a module import whatever happens to be built before it, which would
/// turn the module table into a wish.
struct LayeringCheck {
    /// One target of the package, as `swift package dump-package` tells it.
    struct Target: Equatable {
        let name: String
        let path: String
        let dependencies: [String]
    }

    struct Finding: Equatable, CustomStringConvertible {
        let path: String
        let line: Int
        let rule: String

        var description: String { "\(path):\(line): \(rule)" }
    }

    let targets: [Target]

    /// Modules of the toolchain that everybody may import.
    static let systemModules: Set<String> = ["Swift", "Glibc", "Synchronization"]
    static let foundationModules: Set<String> = [
        "Foundation", "FoundationEssentials", "FoundationNetworking",
    ]
    /// Foundation is slow to start and hides system calls: not where the bytes are.
    static let foldersWithoutFoundation = ["Engine/Files", "Engine/Records", "Engine/Log"]
    static let testModules: Set<String> = ["Testing", "XCTest"]
    /// The one place that may know another system, behind `#if`.
    static let darwinFolder = "Engine/Files"

    // MARK: The package

    /// - Parameter json: what `swift package dump-package` prints.
    init(packageDescription json: Data) throws {
        struct Description: Decodable {
            struct Target: Decodable {
                let name: String
                let path: String?
                let dependencies: [Dependency]
            }
            /// `{"byName": ["A", null]}`, `{"product": ["A", "package", null, null]}`, ...
            struct Dependency: Decodable {
                let name: String

                init(from decoder: any Decoder) throws {
                    let kinds = try decoder.singleValueContainer()
                        .decode([String: [AnyText]].self)
                    name = kinds.values.first?.first?.text ?? ""
                }
            }
            /// A string, or whatever else there is, which does not matter here.
            struct AnyText: Decodable {
                let text: String?

                init(from decoder: any Decoder) throws {
                    text = try? decoder.singleValueContainer().decode(String.self)
                }
            }
            let targets: [Target]
        }
        let description = try JSONDecoder().decode(Description.self, from: json)
        targets = description.targets.map {
            Target(name: $0.name, path: $0.path ?? "", dependencies: $0.dependencies.map(\.name))
        }
    }

    init(targets: [Target]) {
        self.targets = targets
    }

    // MARK: The check

    /// The imports in `files` (path and content) that break a rule.
    func findings(in files: [(path: String, bytes: [UInt8])]) -> [Finding] {
        var findings: [Finding] = []
        for (path, bytes) in files {
            for (line, module) in Self.imports(in: bytes) {
                if let rule = broken(by: module, in: path) {
                    findings.append(Finding(path: path, line: line, rule: rule))
                }
            }
        }
        return findings
    }

    /// Dependencies that are declared and that nothing imports, as `target: dependency`.
    func unusedDependencies(in files: [(path: String, bytes: [UInt8])]) -> [String] {
        var imported: [String: Set<String>] = [:]
        for (path, bytes) in files {
            guard let target = target(of: path) else { continue }
            imported[target.name, default: []].formUnion(Self.imports(in: bytes).map(\.module))
        }
        return targets.flatMap { target in
            target.dependencies
                .filter { imported[target.name]?.contains($0) != true }
                .map { "\(target.name): \($0)" }
        }
    }

    private func target(of path: String) -> Target? {
        targets.first { !$0.path.isEmpty && path.hasPrefix($0.path + "/") }
    }

    /// The rule that this import breaks; nil if it may be.
    private func broken(by module: String, in path: String) -> String? {
        guard let target = target(of: path) else {
            return "is in no target of Package.swift"
        }
        if Self.systemModules.contains(module) || target.dependencies.contains(module) {
            return nil
        }
        if Self.foundationModules.contains(module) {
            let folder = Self.foldersWithoutFoundation.first { path.hasPrefix($0 + "/") }
            return folder.map { "\(module) may not be imported in \($0)" }
        }
        if Self.testModules.contains(module) {
            return path.hasPrefix("Tests/") ? nil : "\(module) is for tests"
        }
        if module == "Darwin", path.hasPrefix(Self.darwinFolder + "/") {
            return nil
        }
        let known =
            target.dependencies.isEmpty ? "nothing" : target.dependencies.joined(separator: ", ")
        return "\(target.name) may not import \(module): Package.swift lets it depend on \(known)"
    }

    /// The modules that a source imports, with their lines: with any attribute or access, whole or
    /// a single declaration, in any branch of `#if`.
    static func imports(in bytes: [UInt8]) -> [(line: Int, module: String)] {
        let kinds: Set<Substring> = [
            "struct", "class", "enum", "protocol", "typealias", "func", "let", "var",
        ]
        let modifiers: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        let code = String(decoding: CodeExtractor.code(of: bytes), as: UTF8.self)
        var imports: [(line: Int, module: String)] = []
        for (index, line) in code.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated() where line.utf8.contains(UInt8(ascii: "i")) && line.contains("import")
        {
            for statement in line.split(separator: ";") {
                var words = statement.split { $0 == " " || $0 == "\t" || $0 == "\r" }[...]
                while let word = words.first, word.hasPrefix("@") || modifiers.contains(word) {
                    words.removeFirst()
                }
                guard words.popFirst() == "import" else { continue }
                if let word = words.first, kinds.contains(word) {
                    words.removeFirst()
                }
                guard let name = words.first?.split(separator: ".").first else { continue }
                imports.append((index + 1, String(name)))
            }
        }
        return imports
    }
}
