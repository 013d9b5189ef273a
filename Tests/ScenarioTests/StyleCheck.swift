/// What the style rules of this repository say about one file.
struct StyleCheck {
    static let fileLinesMax = 500
    static let functionLinesMax = 70
    static let columnsMax = 100

    /// Where pointers may be used: the byte-level modules, the calls of liblz4, and tests.
    static let unsafeFolders = [
        "Engine/Files/", "Engine/Records/", "Engine/CLZ4/", "Engine/CChecksum/", "Tools/Import/",
        "Tests/",
        // Handing bytes to SQLite without a copy, and reading spans a word at a time.
        "StateStore/BoundStatement.swift", "StateStore/Bytes.swift",
        // Running the next piece of a task: the language has no other word for it.
        "Engine/Core/Threads/WorkerPool+Tasks.swift",
        // The limits are measured with nothing of ours in between.
        "Tools/Bench/",
    ]

    /// All that is wrong, as `path:line: what`.
    static func problems(path: String, bytes: [UInt8]) -> [String] {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let code = CodeExtractor.code(of: bytes)
        var problems: [String] = []
        // A text that ends with a line feed has an empty piece behind it.
        let lineCount = lines.last?.isEmpty == true ? lines.count - 1 : lines.count
        if lineCount > fileLinesMax {
            problems.append("\(path):\(lineCount): more than \(fileLinesMax) lines")
        }
        for (index, line) in lines.enumerated() {
            // A long line in bytes is rare: only then characters are counted.
            if line.count > columnsMax,
                String(decoding: line, as: UTF8.self).count > columnsMax
            {
                problems.append("\(path):\(index + 1): more than \(columnsMax) columns")
            }
        }
        // Spelled so that this file does not find itself.
        for mark in ["TO" + "DO", "FIX" + "ME"] {
            for line in Self.lines(of: bytes, containing: mark) {
                problems.append("\(path):\(line): \(mark): do it, or open an issue")
            }
        }
        if !unsafeFolders.contains(where: { path.hasPrefix($0) }) {
            let found = Self.lines(of: code, containing: "nsafe")
            for line in found {
                problems.append("\(path):\(line): unsafe code has its own folders")
            }
        }
        for function in functions(in: code, isC: !path.hasSuffix(".swift"))
        where function.lineCount > functionLinesMax {
            problems.append(
                "\(path):\(function.line): a function of \(function.lineCount) lines, more than "
                    + "\(functionLinesMax)")
        }
        return problems
    }

    /// The lines, counted from 1, on which `word` stands.
    private static func lines(of bytes: [UInt8], containing word: String) -> [Int] {
        let word = Array(word.utf8)
        var lines: [Int] = []
        var line = 1
        var position = 0
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") {
                line += 1
            } else if bytes[position] == word[0], position + word.count <= bytes.count {
                var length = 1
                while length < word.count, bytes[position + length] == word[length] {
                    length += 1
                }
                if length == word.count, lines.last != line {
                    lines.append(line)
                }
            }
            position += 1
        }
        return lines
    }

    struct Function: Equatable {
        /// Where its head begins.
        let line: Int
        /// From there to its closing brace.
        let lineCount: Int
    }

    /// The functions with a body, found by their words and braces.
    static func functions(in code: [UInt8], isC: Bool) -> [Function] {
        var finder = FunctionFinder(isC: isC)
        var word: [UInt8] = []
        var beforeWord: UInt8 = 0
        var previous: UInt8 = 0
        for byte in code {
            let isLetter =
                byte == UInt8(ascii: "_")
                || byte | 0x20 >= UInt8(ascii: "a")
                    && byte | 0x20 <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            if isLetter {
                if word.isEmpty { beforeWord = previous }
                word.append(byte)
            } else {
                if !word.isEmpty {
                    finder.see(word: word, after: beforeWord)
                    word.removeAll(keepingCapacity: true)
                }
                finder.see(byte)
            }
            previous = byte
        }
        return finder.functions
    }
}

/// Follows words and braces, and remembers where functions begin.
private struct FunctionFinder {
    let isC: Bool
    private(set) var functions: [StyleCheck.Function] = []

    private var line = 1
    private var parentheses = 0
    /// The line of the head whose body has not begun.
    private var head: Int?
    /// For each open brace: the line of the function's head, or nil for another block.
    private var blocks: [Int?] = []
    /// In C: where the current top-level declaration began, and its last closed parenthesis.
    private var declarationLine: Int?
    private var lastVisible: UInt8 = 0

    private static let heads = Set(["func", "init", "deinit", "subscript"].map { Array($0.utf8) })
    /// Words that begin another declaration: a head before them has no body.
    private static let otherDeclarations = Set(
        ["var", "let", "case", "struct", "enum", "class", "protocol", "extension", "typealias"]
            .map { Array($0.utf8) })

    init(isC: Bool) {
        self.isC = isC
    }

    mutating func see(word: [UInt8], after byte: UInt8) {
        lastVisible = word[word.count - 1]
        if declarationLine == nil { declarationLine = line }
        guard !isC, parentheses == 0, byte != UInt8(ascii: "."), byte != UInt8(ascii: "`") else {
            return
        }
        if Self.heads.contains(word) {
            head = line
        } else if Self.otherDeclarations.contains(word) {
            head = nil
        }
    }

    mutating func see(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\n"): line += 1
        case UInt8(ascii: "("): parentheses += 1
        case UInt8(ascii: ")"): parentheses -= 1
        case UInt8(ascii: ";") where isC && blocks.isEmpty: declarationLine = nil
        case UInt8(ascii: "{"):
            if isC {
                let isFunction = blocks.isEmpty && lastVisible == UInt8(ascii: ")")
                blocks.append(isFunction ? declarationLine : nil)
            } else if parentheses == 0 {
                blocks.append(head)
                head = nil
            } else {
                blocks.append(nil)
            }
        case UInt8(ascii: "}"):
            if let start = blocks.popLast() ?? nil {
                functions.append(StyleCheck.Function(line: start, lineCount: line - start + 1))
            }
            if !isC, parentheses == 0 { head = nil }
            if blocks.isEmpty { declarationLine = nil }
        default: break
        }
        if byte > UInt8(ascii: " ") { lastVisible = byte }
    }
}
