import Foundation

/// What commands say besides their rows: results for people on standard output, messages on
/// standard error.
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

    /// A number of things: 1 record, 2,000 records.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(number.grouped) \(noun)\(number == 1 ? "" : "s")"
    }

    /// With so many digits behind the point.
    static func fixed(_ number: Double, _ digits: Int) -> String {
        String(format: "%.\(digits)f", number)
    }
}
