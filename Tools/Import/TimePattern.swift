/// A pattern for times in the manner of `strptime`, always in English and never in local time.
///
/// | directive | what it takes |
/// |---|---|
/// | `%Y` `%y` | the year: four digits; or two, where 69 to 99 mean 1969 to 1999 |
/// | `%m` `%b` | the month: 1 to 12; or its English name, whole or its first three letters |
/// | `%d` `%j` | the day: of the month; or of the year, 1 to 366 |
/// | `%H` `%I` `%p` | the hour: 0 to 23; or 1 to 12 together with AM or PM |
/// | `%M` `%S` `%f` | minute; second; the digits of a fraction of a second |
/// | `%z` | the zone: `Z`, `+01:00`, `+0100` or `+01` |
/// | `%s` | seconds since 1970, in place of date and time |
/// | `%%` | a per cent sign |
///
/// Numbers may lack leading zeros. Every other character stands for itself. A value.
struct TimePattern: Hashable, Sendable {
    private enum Part: Hashable {
        case literal(UInt8)
        case directive(UInt8)
    }

    private let parts: [Part]

    private static let directives = Array("YymbdjHIpMSfzs".utf8)
    private static let monthNames = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ]
    private static let monthAbbreviations = monthNames.map { String($0.prefix(3)) }

    /// Directives that tell the same thing.
    private static let rivals: [(Character, Character)] = [
        ("Y", "y"), ("m", "b"), ("m", "j"), ("b", "j"), ("d", "j"), ("H", "I"),
    ]

    /// - Throws: when a directive is unknown or there twice, or they do not make a time together.
    init(_ text: String) throws(ImportOptionError) {
        var parts: [Part] = []
        var directives: Set<Character> = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                parts.append(.literal(byte))
                continue
            }
            guard let directive = rest.popFirst() else {
                throw .badTimeFormat(text, problem: "ends with a single %")
            }
            if directive == UInt8(ascii: "%") {
                parts.append(.literal(directive))
                continue
            }
            let character = Character(UnicodeScalar(directive))
            guard Self.directives.contains(directive) else {
                let known = Self.directives.map { "%\(Character(UnicodeScalar($0)))" }
                throw .badTimeFormat(
                    text,
                    problem: "has %\(character), and the directives are "
                        + known.joined(separator: " ") + " and %%")
            }
            guard directives.insert(character).inserted else {
                throw .badTimeFormat(text, problem: "has %\(character) twice")
            }
            parts.append(.directive(directive))
        }
        if let problem = Self.problem(with: directives) {
            throw .badTimeFormat(text, problem: problem)
        }
        self.parts = parts
    }

    /// Why a pattern with these directives would not tell one moment; nil when it does.
    private static func problem(with directives: Set<Character>) -> String? {
        func has(_ character: Character) -> Bool { directives.contains(character) }
        if directives.isEmpty {
            return "has no directive such as %Y; other formats are epoch-s and epoch-ms"
        }
        if has("s") {
            return directives.isSubset(of: ["s", "f"]) ? nil : "has %s beside a date or a time"
        }
        for (one, other) in rivals where has(one) && has(other) {
            return "has both %\(one) and %\(other)"
        }
        if !has("Y") && !has("y") { return "has no year (%Y)" }
        if !has("j") && !has("m") && !has("b") { return "has no month (%m)" }
        if !has("j") && !has("d") { return "has no day (%d)" }
        if has("I") != has("p") { return "needs %I and %p together" }
        return nil
    }

    /// Takes a time off the cursor; nil if it looks otherwise.
    func parse(_ cursor: inout TimeCursor) -> ParsedTime? {
        var time = ParsedTime()
        var dayOfYear: Int?
        var isAfternoon: Bool?
        for part in parts {
            switch part {
            case .literal(let byte):
                guard cursor.take(byte) else { return nil }
            case .directive(UInt8(ascii: "j")):
                dayOfYear = cursor.takeNumber(digits: 1...3)
                guard dayOfYear != nil else { return nil }
            case .directive(UInt8(ascii: "p")):
                guard let half = cursor.takeWord(of: ["AM", "PM"]) else { return nil }
                isAfternoon = half == 1
            case .directive(let directive):
                guard Self.take(directive, from: &cursor, into: &time) else { return nil }
            }
        }
        if let isAfternoon {
            // Twelve o'clock is the first hour of its half; an hour of 13 becomes one of no clock.
            let hour = time.civil.hour
            time.civil.hour = 1...12 ~= hour ? hour % 12 + (isAfternoon ? 12 : 0) : 24
        }
        if let dayOfYear {
            time.civil.setDayOfYear(dayOfYear)
        }
        if let milliseconds = time.epochMilliseconds {
            time.epochMilliseconds = milliseconds + Int64(time.civil.millisecond)
        }
        return time
    }

    private static func take(
        _ directive: UInt8, from cursor: inout TimeCursor, into time: inout ParsedTime
    ) -> Bool {
        func store(_ number: Int?, _ field: WritableKeyPath<CivilTime, Int>) -> Bool {
            guard let number else { return false }
            time.civil[keyPath: field] = number
            return true
        }
        switch directive {
        case UInt8(ascii: "Y"): return store(cursor.takeNumber(digits: 4...4), \.year)
        case UInt8(ascii: "y"):
            let year = cursor.takeNumber(digits: 2...2)
            return store(year.map { $0 + ($0 < 69 ? 2000 : 1900) }, \.year)
        case UInt8(ascii: "m"): return store(cursor.takeNumber(digits: 1...2), \.month)
        case UInt8(ascii: "b"):
            let month =
                cursor.takeWord(of: monthNames) ?? cursor.takeWord(of: monthAbbreviations)
            return store(month.map { $0 + 1 }, \.month)
        case UInt8(ascii: "d"): return store(cursor.takeNumber(digits: 1...2), \.day)
        case UInt8(ascii: "H"), UInt8(ascii: "I"):
            return store(cursor.takeNumber(digits: 1...2), \.hour)
        case UInt8(ascii: "M"): return store(cursor.takeNumber(digits: 1...2), \.minute)
        case UInt8(ascii: "S"): return store(cursor.takeNumber(digits: 1...2), \.second)
        case UInt8(ascii: "f"): return store(cursor.takeFractionMilliseconds(), \.millisecond)
        case UInt8(ascii: "z"):
            guard let zone = cursor.takeZoneMinutes() else { return false }
            time.zoneMinutes = zone
            return true
        case UInt8(ascii: "s"):
            guard let epoch = ParsedTime(epoch: &cursor, millisecondsPerUnit: 1000) else {
                return false
            }
            time.epochMilliseconds = epoch.epochMilliseconds
            return true
        default: return false
        }
    }
}

extension CivilTime {
    /// Sets month and day from a day of the year; 0, 366 in a common year and more are no day.
    fileprivate mutating func setDayOfYear(_ dayOfYear: Int) {
        month = 1
        day = dayOfYear
        while month < 12, day > Self.dayCount(ofMonth: month, inYear: year) {
            day -= Self.dayCount(ofMonth: month, inYear: year)
            month += 1
        }
    }
}
