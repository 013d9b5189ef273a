import Foundation

/// The sources of this repository, as the checks of style and layering see them.
enum SourceTree {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Paths of all files with these extensions below `folders`, relative to the root, sorted.
    static func paths(below folders: [String], extensions: Set<String>) throws -> [String] {
        var paths: [String] = []
        for folder in folders {
            let names = try FileManager.default.subpathsOfDirectory(
                atPath: root.appendingPathComponent(folder).path)
            for name in names where extensions.contains((name as NSString).pathExtension) {
                // What a build leaves in a hidden folder, as one of a package within would, is not
                // ours.
                if name.hasPrefix(".") || name.contains("/.") { continue }
                paths.append(folder + "/" + name)
            }
        }
        return paths.sorted()
    }

    static func read(_ path: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: root.appendingPathComponent(path)))
    }
}

/// Takes comments and string literals out of Swift or C, so that what is left is code: each of
/// their characters becomes a space, line feeds stay.
struct CodeExtractor {
    private var bytes: [UInt8]
    private var position = 0

    private static let lineFeed = UInt8(ascii: "\n")
    private static let quote = UInt8(ascii: "\"")
    private static let hash = UInt8(ascii: "#")

    static func code(of bytes: [UInt8]) -> [UInt8] {
        var extractor = CodeExtractor(bytes: bytes)
        extractor.blankAll(untilClosingParenthesis: false)
        return extractor.bytes
    }

    private func starts(with text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + count <= bytes.count else { return false }
        for index in 0..<count where bytes[position + index] != text.utf8Start[index] {
            return false
        }
        return true
    }

    private mutating func blank(_ count: Int = 1) {
        for index in position..<min(position + count, bytes.count)
        where bytes[index] != Self.lineFeed {
            bytes[index] = UInt8(ascii: " ")
        }
        position = min(position + count, bytes.count)
    }

    /// Goes over code; inside an interpolation only to the parenthesis that closes it.
    private mutating func blankAll(untilClosingParenthesis: Bool) {
        var depth = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "/") where starts(with: "//"):
                while position < bytes.count, bytes[position] != Self.lineFeed { blank() }
            case UInt8(ascii: "/") where starts(with: "/*"):
                blankBlockComment()
            case Self.quote:
                blankString(hashes: 0)
            case Self.hash:
                let start = position
                while position < bytes.count, bytes[position] == Self.hash { position += 1 }
                if position < bytes.count, bytes[position] == Self.quote {
                    blankString(hashes: position - start)
                }
            case UInt8(ascii: "("):
                depth += 1
                position += 1
            case UInt8(ascii: ")"):
                if untilClosingParenthesis, depth == 0 { return }
                depth -= 1
                position += 1
            default:
                position += 1
            }
        }
    }

    private mutating func blankBlockComment() {
        var depth = 0
        repeat {
            if starts(with: "/*") {
                depth += 1
                blank(2)
            } else if starts(with: "*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && position < bytes.count
    }

    private mutating func blankString(hashes: Int) {
        let isMultiline = starts(with: "\"\"\"")
        let quotes = isMultiline ? 3 : 1
        blank(quotes)
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\\"), hashCount(at: position + 1) >= hashes {
                blank(1 + hashes)
                if position < bytes.count, bytes[position] == UInt8(ascii: "(") {
                    position += 1
                    blankAll(untilClosingParenthesis: true)
                } else {
                    blank()
                }
            } else if isMultiline ? starts(with: "\"\"\"") : bytes[position] == Self.quote,
                hashCount(at: position + quotes) >= hashes
            {
                blank(quotes + hashes)
                return
            } else if !isMultiline, bytes[position] == Self.lineFeed {
                return
            } else {
                blank()
            }
        }
    }

    private func hashCount(at start: Int) -> Int {
        var end = start
        while end < bytes.count, bytes[end] == Self.hash { end += 1 }
        return end - start
    }
}
