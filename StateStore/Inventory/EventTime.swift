import Tally

/// Points in time as events write them: RFC 3339 text, or milliseconds since 1970.
enum EventTime {
    /// The times that RFC 3339 can write: 0000-01-01T00:00:00Z through 9999-12-31T23:59:59.999Z.
    static let range: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999

    private static let millisecondsPerDay: Int64 = 86_400_000

    /// The time that RFC 3339 text names (`2010-12-01T08:26:00Z`, `...T08:26:00.25+01:00`), cut to
    /// milliseconds, or nil. A zone is required; `t`, `z` and a space for the `T` are allowed; a
    /// leap second is the second after it.
    static func parse(_ text: RawSpan) -> Timestamp? {
        guard text.byteCount >= 20, text.byteCount <= 64 else { return nil }
        let separator = text.byte(at: 10)
        guard text.byte(at: 4) == UInt8(ascii: "-"), text.byte(at: 7) == UInt8(ascii: "-"),
            separator | 0x20 == UInt8(ascii: "t") || separator == UInt8(ascii: " "),
            text.byte(at: 13) == UInt8(ascii: ":"), text.byte(at: 16) == UInt8(ascii: ":"),
            let century = twoDigits(text, at: 0), let yearOfCentury = twoDigits(text, at: 2),
            let month = twoDigits(text, at: 5), let day = twoDigits(text, at: 8),
            let hour = twoDigits(text, at: 11), hour < 24,
            let minute = twoDigits(text, at: 14), minute < 60,
            let second = twoDigits(text, at: 17), second <= 60,
            let days = days(year: century * 100 + yearOfCentury, month: month, day: day)
        else { return nil }
        var milliseconds =
            days * millisecondsPerDay + (hour * 3600 + minute * 60 + second) * 1000
        var position = 19
        if text.byte(at: position) == UInt8(ascii: ".") {
            guard let fraction = fraction(text, from: &position) else { return nil }
            milliseconds += fraction
        }
        guard let zone = zoneMinutes(text, from: position) else { return nil }
        milliseconds -= zone * 60_000
        return range.contains(milliseconds) ? Timestamp(milliseconds: milliseconds) : nil
    }

    /// The digits after the point that `position` stands at, as milliseconds; later ones are cut.
    private static func fraction(_ text: RawSpan, from position: inout Int) -> Int64? {
        position += 1
        let start = position
        var (milliseconds, worth): (Int64, Int64) = (0, 100)
        while position < text.byteCount, let digit = digit(text, at: position) {
            milliseconds += digit * worth
            worth /= 10
            position += 1
        }
        return position > start ? milliseconds : nil
    }

    /// The offset from UTC that ends the text: `Z`, or hours and minutes with a sign.
    private static func zoneMinutes(_ text: RawSpan, from position: Int) -> Int64? {
        let rest = text.byteCount - position
        guard rest > 0 else { return nil }
        let sign = text.byte(at: position)
        if sign | 0x20 == UInt8(ascii: "z") { return rest == 1 ? 0 : nil }
        guard rest == 6, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
            text.byte(at: position + 3) == UInt8(ascii: ":"),
            let hours = twoDigits(text, at: position + 1), hours < 24,
            let minutes = twoDigits(text, at: position + 4), minutes < 60
        else { return nil }
        let total = hours * 60 + minutes
        return sign == UInt8(ascii: "-") ? -total : total
    }

    @inline(__always)
    private static func digit(_ text: RawSpan, at offset: Int) -> Int64? {
        let value = text.byte(at: offset) &- UInt8(ascii: "0")
        return value < 10 ? Int64(value) : nil
    }

    @inline(__always)
    private static func twoDigits(_ text: RawSpan, at offset: Int) -> Int64? {
        guard let tens = digit(text, at: offset), let ones = digit(text, at: offset + 1) else {
            return nil
        }
        return tens * 10 + ones
    }

    /// Days since 1970-01-01 of a day of the Gregorian calendar, or nil when there is no such day.
    ///
    /// Years are counted from March, so that the leap day is a year's last one; then the months'
    /// lengths repeat every five (153 days), and the years' every 400 (146,097 days).
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64? {
        guard (1...12).contains(month), day >= 1 else { return nil }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let length: Int64 =
            switch month {
            case 2: isLeap ? 29 : 28
            case 4, 6, 9, 11: 30
            default: 31
            }
        guard day <= length else { return nil }
        // 400 years on, so that nothing is negative; they are taken off again as days.
        let marchYear = (month <= 2 ? year - 1 : year) + 400
        let marchMonth = month <= 2 ? month + 9 : month - 3
        let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
        let leapDays = marchYear / 4 - marchYear / 100 + marchYear / 400
        return marchYear * 365 + leapDays + dayOfYear - 719_468 - 146_097
    }

    /// RFC 3339 text in UTC, with milliseconds where there are any; outside of the years 0 through
    /// 9999, the plain number of milliseconds.
    static func text(_ timestamp: Timestamp) -> String {
        guard range.contains(timestamp.rawValue) else { return String(timestamp.rawValue) }
        // Counted from 0000-03-01 less 400 years, where the calendar's cycle begins.
        let shifted = timestamp.rawValue + (719_468 + 146_097) * millisecondsPerDay
        let (dayNumber, milliseconds) = shifted.quotientAndRemainder(dividingBy: millisecondsPerDay)
        let (cycle, dayOfCycle) = dayNumber.quotientAndRemainder(dividingBy: 146_097)
        let yearOfCycle =
            (dayOfCycle - dayOfCycle / 1460 + dayOfCycle / 36_524 - dayOfCycle / 146_096) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = cycle * 400 + yearOfCycle - 400 + (month <= 2 ? 1 : 0)
        let seconds = milliseconds / 1000
        let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { padded($0, to: 2) }
        let fraction = milliseconds % 1000 == 0 ? "" : "." + padded(milliseconds % 1000, to: 3)
        return "\(padded(year, to: 4))-\(padded(month, to: 2))-\(padded(day, to: 2))"
            + "T\(clock.joined(separator: ":"))\(fraction)Z"
    }

    private static func padded(_ number: Int64, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
