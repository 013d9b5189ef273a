import ArgumentParser

/// A length of time on the command line: a number and its unit, as in `15m`; or as ISO-8601 has it
/// in days, hours, minutes and seconds, which is what Kafka's tools take: `P1DT12H`, `PT15M`.
struct DurationArgument: ExpressibleByArgument, CustomStringConvertible {
    var milliseconds: Int64

    private static let units: [(name: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Nil for anything but digits and a unit, and ISO-8601.
    init?(argument: String) {
        guard argument.first != "P" else {
            guard let total = Self.standard(argument.dropFirst()) else { return nil }
            milliseconds = total
            return
        }
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let unit = argument.dropFirst(digits.count)
        guard let number = Int64(digits),
            let known = Self.units.first(where: { $0.name == unit })
        else { return nil }
        let product = number.multipliedReportingOverflow(by: known.milliseconds)
        guard !product.overflow else { return nil }
        milliseconds = product.partialValue
    }

    /// What stands behind the P of ISO-8601: whole numbers, each unit once and in order.
    private static func standard(_ text: Substring) -> Int64? {
        let parts = text.split(separator: "T", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.count == 1 || !parts[1].isEmpty else {
            return nil
        }
        var total: Int64?
        for (part, names) in zip(parts, ["D", "HMS"]) {
            var rest = part
            var names = Substring(names)
            while !rest.isEmpty {
                let digits = rest.prefix { $0.isASCII && $0.isNumber }
                rest = rest.dropFirst(digits.count)
                guard let number = Int64(digits), let name = rest.popFirst(),
                    let place = names.firstIndex(of: name),
                    let unit = units.first(where: { $0.name == name.lowercased() })
                else { return nil }
                names = names[names.index(after: place)...]
                let product = number.multipliedReportingOverflow(by: unit.milliseconds)
                let sum = (total ?? 0).addingReportingOverflow(product.partialValue)
                guard !product.overflow, !sum.overflow else { return nil }
                total = sum.partialValue
            }
        }
        return total
    }

    /// As it is written: `15m`, `90s`.
    var description: String {
        guard milliseconds != 0,
            let unit = Self.units.first(where: { milliseconds % $0.milliseconds == 0 })
        else { return "0s" }
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }

    var defaultValueDescription: String { description }

    /// A length of time in its two largest units: `3d 4h`, `15m 2s`.
    static func text(_ milliseconds: Int64) -> String {
        guard let first = units.firstIndex(where: { milliseconds >= $0.milliseconds }) else {
            return "0s"
        }
        let unit = units[first]
        let whole = "\(milliseconds / unit.milliseconds)\(unit.name)"
        guard first + 1 < units.count else { return whole }
        let next = units[first + 1]
        let rest = milliseconds % unit.milliseconds / next.milliseconds
        return rest == 0 ? whole : "\(whole) \(rest)\(next.name)"
    }
}
