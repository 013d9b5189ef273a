/// Reads the time of a row as milliseconds since 1970-01-01 00:00:00 UTC.
///
/// Without a format it takes what ISO 8601 and RFC 3339 look like in practice:
/// `2010-12-01`, `2010-12-01 08:26`, `2010-12-01T08:26:00.123Z`, `2010-12-01 08:26:00 +01:00`. A
/// format is `epoch-s` or `epoch-ms` (whole seconds or milliseconds since 1970), or a pattern with
/// the directives of `TimePattern`. A time without a zone is UTC. Fractions are rounded down to the
/// millisecond. A value: any thread may use it.
package struct TimeParser: Hashable, Sendable {
    private enum Form: Hashable {
        case iso
        case epoch(millisecondsPerUnit: Int64)
        case pattern(TimePattern)
    }

    private let form: Form
    /// What a message says was expected.
    private let expectation: String

    /// - Throws: when the format has an unknown directive, or does not make a date.
    package init(format: String? = nil) throws(ImportOptionError) {
        switch format {
        case nil:
            form = .iso
            expectation = "2010-12-31 23:59:59 (see --time-format)"
        case "epoch-s"?:
            form = .epoch(millisecondsPerUnit: 1000)
            expectation = "whole seconds since 1970"
        case "epoch-ms"?:
            form = .epoch(millisecondsPerUnit: 1)
            expectation = "whole milliseconds since 1970"
        case let format?:
            form = .pattern(try TimePattern(format))
            expectation = format
        }
    }

    /// The time that `text` says, in milliseconds since 1970; it may be negative.
    package func milliseconds(_ text: Span<UInt8>) throws(RowErrorReason) -> Int64 {
        var cursor = TimeCursor(text)
        let parsed: ParsedTime? =
            switch form {
            case .iso: ParsedTime(iso: &cursor)
            case .epoch(let millisecondsPerUnit):
                ParsedTime(epoch: &cursor, millisecondsPerUnit: millisecondsPerUnit)
            case .pattern(let pattern): pattern.parse(&cursor)
            }
        guard let parsed, cursor.isAtEnd else {
            throw .notATime(quotation(of: text), expected: expectation)
        }
        guard let milliseconds = parsed.milliseconds else {
            throw .noSuchTime(quotation(of: text))
        }
        guard CivilTime.range.contains(milliseconds) else {
            throw .timeOutOfRange(quotation(of: text))
        }
        return milliseconds
    }
}

/// What a time says, before anybody asked whether there is such a time.
struct ParsedTime {
    var civil = CivilTime()
    var zoneMinutes = 0
    /// Seconds since 1970, in place of a date and a time of day.
    var epochMilliseconds: Int64?

    init() {}

    /// Milliseconds since 1970; nil when the calendar or the clock has no such time.
    var milliseconds: Int64? {
        if let epochMilliseconds {
            return epochMilliseconds
        }
        return civil.exists ? civil.milliseconds - Int64(zoneMinutes) * 60_000 : nil
    }

    /// Takes a time in the manner of ISO 8601; nil if it looks otherwise.
    init?(iso cursor: inout TimeCursor) {
        guard let year = cursor.takeNumber(digits: 4...4), cursor.take(UInt8(ascii: "-")),
            let month = cursor.takeNumber(digits: 2...2), cursor.take(UInt8(ascii: "-")),
            let day = cursor.takeNumber(digits: 2...2)
        else { return nil }
        civil.year = year
        civil.month = month
        civil.day = day
        guard !cursor.isAtEnd else { return }
        guard
            cursor.take(UInt8(ascii: " ")) || cursor.take(UInt8(ascii: "T"), or: UInt8(ascii: "t")),
            let hour = cursor.takeNumber(digits: 2...2), cursor.take(UInt8(ascii: ":")),
            let minute = cursor.takeNumber(digits: 2...2)
        else { return nil }
        civil.hour = hour
        civil.minute = minute
        if cursor.take(UInt8(ascii: ":")) {
            guard let second = cursor.takeNumber(digits: 2...2) else { return nil }
            civil.second = second
            if cursor.take(UInt8(ascii: "."), or: UInt8(ascii: ",")) {
                guard let millisecond = cursor.takeFractionMilliseconds() else { return nil }
                civil.millisecond = millisecond
            }
        }
        guard !cursor.isAtEnd else { return }
        _ = cursor.take(UInt8(ascii: " "))
        guard let zone = cursor.takeZoneMinutes() else { return nil }
        zoneMinutes = zone
    }

    /// Takes a whole number of seconds or milliseconds; nil if there is none.
    init?(epoch cursor: inout TimeCursor, millisecondsPerUnit: Int64) {
        let isNegative = cursor.take(UInt8(ascii: "-"))
        guard let number = cursor.takeNumber(digits: 1...16) else { return nil }
        // 16 digits of seconds may overflow. That is out of range all the same, as what stands in
        // their place is, also with the milliseconds of a fraction on top.
        let (product, overflows) = Int64(number).multipliedReportingOverflow(
            by: millisecondsPerUnit)
        let milliseconds = overflows ? Int64.max - 999 : min(product, Int64.max - 999)
        epochMilliseconds = isNegative ? -milliseconds : milliseconds
    }
}
