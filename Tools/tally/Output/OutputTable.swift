/// Rows of text in columns, for people.
///
/// Widths are fixed by the first rows, so that a long table can be printed while it is made.
struct OutputTable {
    /// A column's heading, and whether its cells are numbers, which stand at the right.
    struct Column {
        var title: String
        var isNumber: Bool

        static func text(_ title: String) -> Column { Column(title: title, isNumber: false) }
        static func number(_ title: String) -> Column { Column(title: title, isNumber: true) }
    }

    private let columns: [Column]
    private let indentation: String
    private var waiting: [[String]] = []
    private var widths: [Int]?
    private static let waitingMax = 200

    init(_ columns: [Column], indentation: String = "") {
        self.columns = columns
        self.indentation = indentation
    }

    mutating func add(_ cells: [String], to output: Output) throws {
        if let widths {
            try output.write(line: line(cells, widths))
            return
        }
        waiting.append(cells)
        if waiting.count >= Self.waitingMax { try flush(to: output) }
    }

    /// Prints what still waits for the widths to be settled.
    mutating func flush(to output: Output) throws {
        guard widths == nil, !waiting.isEmpty else { return }
        let titles = columns.map(\.title)
        var settled = titles.map(\.count)
        for row in waiting {
            for (index, cell) in row.enumerated() {
                settled[index] = max(settled[index], cell.count)
            }
        }
        for row in [titles] + waiting { try output.write(line: line(row, settled)) }
        widths = settled
        waiting = []
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var text = indentation
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: max(0, widths[index] - cell.count))
            if index > 0 { text += "  " }
            if columns[index].isNumber {
                text += padding + cell
            } else {
                text += cell + padding
            }
        }
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }
}

extension BinaryInteger {
    /// The number with commas: `541,909`.
    var grouped: String {
        let digits = Array(String(self))
        var text = ""
        for (index, digit) in digits.enumerated() {
            let left = digits.count - index
            if index > 0, left % 3 == 0, digits[index - 1] != "-" { text.append(",") }
            text.append(digit)
        }
        return text
    }
}

/// Text of records within a table.
enum OutputText {
    /// Without what would break the line.
    static func line(_ text: String) -> String {
        text.unicodeScalars.map { $0.value < 0x20 ? $0.escaped(asASCII: true) : String($0) }
            .joined()
    }
}
