import TallyRecords

/// Timestamps as people write them: ISO-8601, in UTC.
enum OutputTime {
    /// `2011-12-09T12:50:00.000Z`; `-` where there is no timestamp, and the bare number for years
    /// beyond 9999.
    static func text(_ timestamp: Timestamp?) -> String {
        guard let timestamp, timestamp > .none else { return "-" }
        let milliseconds = timestamp.rawValue
        let days = milliseconds / 86_400_000
        guard days < 2_932_897 else { return String(milliseconds) }
        let date = civilDate(days: days)
        let time = milliseconds % 86_400_000
        return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T"
            + padded(time / 3_600_000, 2) + ":" + padded(time / 60_000 % 60, 2) + ":"
            + padded(time / 1000 % 60, 2) + "." + padded(time % 1000, 3) + "Z"
    }

    /// Reads `2011-12-09`, `2011-12-09T12:50`, with seconds, with up to three decimals, and with
    /// `Z` or an offset such as `+01:00`; UTC where neither is given. A blank may stand for the T.
    static func parse(_ text: String) -> Timestamp? {
        var rest = Substring(text)
        guard let year = number(&rest, 4), take(&rest, "-"), let month = number(&rest, 2),
            take(&rest, "-"), let day = number(&rest, 2), (1...12).contains(month), day >= 1,
            civilDate(days: days(year, month, day)) == (year, month, day)
        else { return nil }
        var milliseconds = days(year, month, day) * 86_400_000
        if take(&rest, "T") || take(&rest, " ") {
            guard let time = timeOfDay(&rest), let zone = zone(&rest) else { return nil }
            milliseconds += time - zone
        }
        return rest.isEmpty ? Timestamp(milliseconds: milliseconds) : nil
    }

    private static func timeOfDay(_ rest: inout Substring) -> Int64? {
        guard let hour = number(&rest, 2), hour < 24, take(&rest, ":"),
            let minute = number(&rest, 2), minute < 60
        else { return nil }
        var milliseconds = hour * 3_600_000 + minute * 60_000
        guard take(&rest, ":") else { return milliseconds }
        guard let second = number(&rest, 2), second < 60 else { return nil }
        milliseconds += second * 1000
        guard take(&rest, ".") else { return milliseconds }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, digits.count <= 3, let fraction = Int64(digits) else { return nil }
        rest = rest.dropFirst(digits.count)
        return milliseconds + fraction * [100, 10, 1][digits.count - 1]
    }

    /// Milliseconds east of UTC.
    private static func zone(_ rest: inout Substring) -> Int64? {
        if take(&rest, "Z") { return 0 }
        let isEast = take(&rest, "+")
        guard isEast || take(&rest, "-") else { return 0 }
        guard let hours = number(&rest, 2), hours < 24 else { return nil }
        _ = take(&rest, ":")
        guard let minutes = number(&rest, 2), minutes < 60 else { return nil }
        return (hours * 60 + minutes) * 60_000 * (isEast ? 1 : -1)
    }

    private static func take(_ rest: inout Substring, _ character: Character) -> Bool {
        guard rest.first == character else { return false }
        rest = rest.dropFirst()
        return true
    }

    private static func number(_ rest: inout Substring, _ digitCount: Int) -> Int64? {
        let digits = rest.prefix(digitCount)
        guard digits.count == digitCount, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else {
            return nil
        }
        rest = rest.dropFirst(digitCount)
        return Int64(digits)
    }

    private static func padded(_ number: Int64, _ digitCount: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, digitCount - digits.count)) + digits
    }

    /// The date of a day counted from 1970-01-01, in the Gregorian calendar: whole cycles of 400
    /// years, counted from 0000-03-01, so that the leap day is the last of its year.
    private static func civilDate(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }
}
