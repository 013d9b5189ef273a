import Foundation

/// Standard output for results, standard error for everything said about them.
enum Console {
    /// Writes a line of result.
    static func out(_ line: String = "") {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    /// Writes a line about what is going on.
    static func note(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    /// Whether somebody watches the messages.
    static var isInteractive: Bool { isatty(STDERR_FILENO) == 1 }
}

/// Numbers as people read them.
enum Format {
    /// With thousands separated: 541,909.
    static func count(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return number < 0 ? "-" + text : text
    }

    /// Bytes in the unit that fits: 36.2 MB.
    static func bytes(_ number: some BinaryInteger) -> String {
        let units = ["B", "kB", "MB", "GB", "TB"]
        var value = Double(number)
        var unit = 0
        while abs(value) >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(number) B" : fixed(value, 1) + " " + units[unit]
    }

    /// With so many digits behind the point.
    static func fixed(_ number: Double, _ digits: Int) -> String {
        String(format: "%.\(digits)f", number)
    }

    /// Milliseconds since 1970 as ISO 8601 in UTC.
    static func time(_ milliseconds: Int64) -> String {
        let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
        return date.formatted(
            Date.ISO8601FormatStyle(includingFractionalSeconds: milliseconds % 1000 != 0))
    }
}

/// Rows of text in columns, numbers to the right.
struct TextTable {
    private var rows: [[String]]
    private let isNumber: [Bool]

    /// - Parameter columns: titles; one that begins with `>` is of numbers.
    init(_ columns: [String]) {
        isNumber = columns.map { $0.hasPrefix(">") }
        rows = [columns.map { $0.hasPrefix(">") ? String($0.dropFirst()) : $0 }]
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var lines: [String] {
        let widths = isNumber.indices.map { column in
            rows.map { $0[column].count }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.indices.map { column -> String in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return isNumber[column] ? padding + row[column] : row[column] + padding
            }
            let line = "  " + cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }
}
