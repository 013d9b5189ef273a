import Foundation

/// Finds the code blocks of pages and doc comments, and says which of them no source contains that
/// is compiled. Pure.
enum SnippetCheck {
    /// A code block, without what it is indented by.
    struct Snippet: Hashable {
        var path: String
        /// The line of its fence, from 1 on.
        var line: Int
        /// What stands behind the fence; empty where nothing does.
        var language: String
        var lines: [String]

        var place: String { "\(path):\(line)" }
    }

    /// Whether there may be a block at all.
    static func hasFence(_ bytes: [UInt8]) -> Bool {
        var run = 0
        for byte in bytes {
            run = byte == UInt8(ascii: "`") ? run + 1 : 0
            if run == 3 { return true }
        }
        return false
    }

    /// The fenced blocks of a page, or of the doc comments of a Swift file.
    static func snippets(in text: String, path: String) -> [Snippet] {
        let isSwift = path.hasSuffix(".swift")
        var found: [Snippet] = []
        var open: Snippet?
        for (index, line) in text.components(separatedBy: "\n").enumerated() {
            guard let line = isSwift ? comment(in: line) : line else {
                // A comment that ends within a block ends the block.
                found += [open].compactMap(\.self)
                open = nil
                continue
            }
            let trimmed = line.trimmingCharacters(in: .whitespaces)
            if trimmed.hasPrefix("```") {
                if let snippet = open {
                    found.append(snippet)
                    open = nil
                } else {
                    let language = String(trimmed.dropFirst(3))
                    open = Snippet(path: path, line: index + 1, language: language, lines: [])
                }
            } else {
                open?.lines.append(line)
            }
        }
        return found.map { snippet in
            var snippet = snippet
            snippet.lines = withoutIndentation(snippet.lines)
            return snippet
        }
    }

    /// The text of a line of a doc comment; nil where the line is none.
    private static func comment(in line: String) -> String? {
        let trimmed = line.drop { $0 == " " }
        guard trimmed.hasPrefix("///") else { return nil }
        let text = trimmed.dropFirst(3)
        return String(text.first == " " ? text.dropFirst() : text)
    }

    private static func indentation(of line: String) -> Int { line.prefix { $0 == " " }.count }

    private static func withoutIndentation(_ lines: [String]) -> [String] {
        let common = lines.filter { !$0.isEmpty }.map { indentation(of: $0) }.min() ?? 0
        return lines.map { String($0.dropFirst(common)) }
    }

    /// Whether lines of a source are these of a snippet, all of them moved by the same indentation.
    static func contains(_ source: [String], _ snippet: [String]) -> Bool {
        guard let first = snippet.first, !snippet.allSatisfy(\.isEmpty) else { return false }
        return source.indices.contains { start in
            guard start + snippet.count <= source.count, source[start].hasSuffix(first) else {
                return false
            }
            let indent = source[start].dropLast(first.count)
            guard indent.allSatisfy({ $0 == " " }) else { return false }
            return zip(source[start...], snippet).allSatisfy { line, expected in
                expected.isEmpty ? line.isEmpty : line == indent + expected
            }
        }
    }

    /// Whether a block that names no language is Swift all the same.
    static func looksLikeSwift(_ snippet: Snippet) -> Bool {
        let starts = ["import ", "let ", "var ", "func ", "try ", "for try await ", "await "]
        return snippet.lines.contains { line in starts.contains { line.hasPrefix($0) } }
    }

    /// What is wrong with the snippets of a text.
    ///
    /// - Parameter sources: the lines of each source that is compiled.
    static func problems(in text: String, path: String, sources: [[String]]) -> [String] {
        snippets(in: text, path: path).compactMap { snippet in
            if snippet.language == "swift" {
                sources.contains { contains($0, snippet.lines) }
                    ? nil : "\(snippet.place): no compiled source contains this snippet"
            } else {
                snippet.language != "python" && looksLikeSwift(snippet)
                    ? "\(snippet.place): Swift, and not marked as such" : nil
            }
        }
    }
}
