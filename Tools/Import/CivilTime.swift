/// A date and a time of day on the Gregorian calendar, extended to all years, at UTC.
///
/// Conversions are plain arithmetic on whole numbers: no locale, no time zone database. A value.
struct CivilTime: Hashable {
    var year = 1970
    var month = 1
    var day = 1
    var hour = 0
    var minute = 0
    var second = 0
    var millisecond = 0

    /// The years that RFC 3339 can write.
    static let years = 0...9999

    /// Whether there is such a day, and such a time on it. Leap seconds are no times of their own:
    /// neither Kafka's nor POSIX time can tell them apart.
    var exists: Bool {
        Self.years.contains(year) && 1...12 ~= month && day >= 1
            && day <= Self.dayCount(ofMonth: month, inYear: year)
            && 0...23 ~= hour && 0...59 ~= minute && 0...59 ~= second && 0...999 ~= millisecond
    }

    static func isLeap(_ year: Int) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    static func dayCount(ofMonth month: Int, inYear year: Int) -> Int {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Milliseconds since 1970-01-01 00:00:00 UTC.
    var milliseconds: Int64 {
        let seconds = ((daysSince1970 * 24 + hour) * 60 + minute) * 60 + second
        return Int64(seconds * 1000 + millisecond)
    }

    /// Days since 1970-01-01. Years begin in March here, so that the leap day is their last.
    private var daysSince1970: Int {
        let shiftedYear = month > 2 ? year : year - 1
        // Four centuries have 146,097 days, always.
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - Self.daysFromEraTo1970
    }

    /// From 1 March of the year 0 to 1 January 1970.
    private static let daysFromEraTo1970 = 719_468

    /// Milliseconds since 1970 of the first and the last moment that RFC 3339 can write.
    static let range: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    init() {}

    /// The time `milliseconds` after 1970-01-01 00:00:00 UTC.
    init(milliseconds: Int64) {
        let (days, inDay) = Int(milliseconds).dividedDown(by: 86_400_000)
        hour = inDay / 3_600_000
        minute = inDay / 60_000 % 60
        second = inDay / 1000 % 60
        millisecond = inDay % 1000
        let (era, dayOfEra) = (days + Self.daysFromEraTo1970).dividedDown(by: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Appends the time as RFC 3339 writes it, with milliseconds only where there are some.
    func write(into output: inout [UInt8]) {
        Self.writeTwoDigits(year / 100, into: &output)
        Self.writeTwoDigits(year % 100, into: &output)
        output.append(UInt8(ascii: "-"))
        Self.writeTwoDigits(month, into: &output)
        output.append(UInt8(ascii: "-"))
        Self.writeTwoDigits(day, into: &output)
        output.append(UInt8(ascii: "T"))
        Self.writeTwoDigits(hour, into: &output)
        output.append(UInt8(ascii: ":"))
        Self.writeTwoDigits(minute, into: &output)
        output.append(UInt8(ascii: ":"))
        Self.writeTwoDigits(second, into: &output)
        if millisecond != 0 {
            output.append(UInt8(ascii: "."))
            output.append(UInt8(ascii: "0") + UInt8(millisecond / 100))
            Self.writeTwoDigits(millisecond % 100, into: &output)
        }
        output.append(UInt8(ascii: "Z"))
    }

    private static func writeTwoDigits(_ number: Int, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "0") + UInt8(number / 10))
        output.append(UInt8(ascii: "0") + UInt8(number % 10))
    }
}

extension Int {
    /// Quotient and remainder, rounded down so that the remainder is not negative.
    fileprivate func dividedDown(by divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
