import ArgumentParser

/// Bytes a second on the command line: a number, its unit, and `/s` for whoever likes it: `10MB/s`.
struct RateArgument: ExpressibleByArgument, CustomStringConvertible {
    var bytesPerSecond: Double

    private static let units: [(name: String, byteCount: Double)] = [
        ("B", 1), ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12),
        ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
    ]

    /// Nil for anything but a positive number and a unit.
    init?(argument: String) {
        let text = argument.hasSuffix("/s") ? argument.dropLast(2) : argument[...]
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number > 0, number.isFinite,
            let unit = Self.units.first(where: { $0.name == text.dropFirst(digits.count) })
        else { return nil }
        bytesPerSecond = number * unit.byteCount
    }

    var description: String { Format.bytes(Int64(bytesPerSecond.rounded())) + "/s" }
}
