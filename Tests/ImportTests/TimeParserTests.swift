import Foundation
import Testing

@testable import TallyImport

@Suite("Time parser")
struct TimeParserTests {
    static func milliseconds(_ text: String, _ format: String? = nil) throws -> Int64 {
        try TimeParser(format: format).milliseconds(Array(text.utf8).span)
    }

    /// 2010-12-01 08:26:00 UTC.
    static let first: Int64 = 1_291_191_960_000

    @Test(
        "times in the manner of ISO 8601 are taken without a format",
        arguments: [
            ("2010-12-01 08:26:00", first),
            ("2010-12-01T08:26:00", first),
            ("2010-12-01t08:26:00z", first),
            ("2010-12-01 08:26", first),
            ("2010-12-01T08:26Z", first),
            ("2010-12-01T08:26:00+00:00", first),
            ("2010-12-01T09:26:00+01:00", first),
            ("2010-12-01 09:26:00 +0100", first),
            ("2010-12-01 09:26:00+01", first),
            ("2010-12-01T02:56:00-05:30", first),
            ("2010-12-02T00:11:00+15:45", first),
            ("2010-12-01T08:26:00.5", first + 500),
            ("2010-12-01T08:26:00,25Z", first + 250),
            ("2010-12-01T08:26:00.123Z", first + 123),
            ("2010-12-01T08:26:00.1239999999Z", first + 123),
            ("2010-12-01", 1_291_161_600_000),
            ("1970-01-01", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2000-02-29", 951_782_400_000),
            ("0000-01-01", CivilTime.range.lowerBound),
            ("9999-12-31T23:59:59.999Z", CivilTime.range.upperBound),
        ] as [(String, Int64)])
    func iso(text: String, expected: Int64) throws {
        #expect(try Self.milliseconds(text) == expected)
    }

    @Test(
        "what does not look like a time is an error",
        arguments: [
            "", " ", "2010", "2010-12", "2010-1-1", "10-12-01", "2010/12/01", "01.12.2010",
            "2010-12-01 ", " 2010-12-01", "2010-12-01T", "2010-12-01 8:26", "2010-12-01 08",
            "2010-12-01 08:26:", "2010-12-01 08:26:00.", "2010-12-01 08:26:00 UTC",
            "2010-12-01 08:26:00+1", "2010-12-01 08:26:00+01:", "2010-12-01 08:26:00+24:00",
            "2010-12-01 08:26:00+01:60", "2010-12-01 08:26:00ZZ", "2010-12-01x08:26:00",
            "2010-12-01 08:26:00\u{0}", "２０１０-12-01", "1291191960",
        ])
    func notTimes(text: String) {
        let expected = "2010-12-31 23:59:59 (see --time-format)"
        #expect(throws: RowErrorReason.notATime(text, expected: expected)) {
            try Self.milliseconds(text)
        }
    }

    @Test(
        "days and hours that do not exist are errors",
        arguments: [
            "2010-02-30", "2010-02-29", "1900-02-29", "2010-04-31", "2010-00-10", "2010-13-10",
            "2010-01-00", "2010-01-32", "2010-01-01 24:00", "2010-01-01 23:60",
            "2016-12-31 23:59:60",
        ])
    func noSuchTimes(text: String) {
        #expect(throws: RowErrorReason.noSuchTime(text)) { try Self.milliseconds(text) }
    }

    @Test("a zone can push a time over the edge of the calendar")
    func edgeOfCalendar() {
        for text in ["0000-01-01T00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            #expect(throws: RowErrorReason.timeOutOfRange(text)) { try Self.milliseconds(text) }
        }
    }

    @Test(
        "formats in the manner of strptime",
        arguments: [
            ("%Y-%m-%d %H:%M:%S", "2010-12-01 08:26:00", first),
            ("%m/%d/%Y %H:%M", "12/1/2010 8:26", first),
            ("%d.%m.%y, %H.%M", "01.12.10, 08.26", first),
            ("%b %d, %Y %I:%M %p", "Dec 01, 2010 8:26 AM", first),
            ("%d %b %Y %I:%M%p", "1 december 2010 08:26am", first),
            ("%Y%m%dT%H%M%S.%f%z", "20101201T092600.25+0100", first + 250),
            ("%Y-%j %H:%M", "2010-335 08:26", first),
            ("%Y-%j", "2012-366", 1_356_912_000_000),
            ("%Y-%j", "2010-060", 1_267_401_600_000),
            ("%s", "1291191960", first),
            ("%s.%f", "1291191960.5", first + 500),
            ("100%% %Y-%m-%d", "100% 2010-12-01", 1_291_161_600_000),
            ("%Y-%m-%d %I %p", "2010-12-01 12 AM", 1_291_161_600_000),
            ("%Y-%m-%d %I %p", "2010-12-01 12 PM", 1_291_204_800_000),
            ("%Y-%m-%d %I %p", "2010-12-01 1 pm", 1_291_208_400_000),
            ("%y-%m-%d", "69-01-01", -31_536_000_000),
            ("%y-%m-%d", "68-01-01", 3_092_601_600_000),
            ("epoch-s", "1291191960", first),
            ("epoch-ms", "1291191960000", first),
            ("epoch-ms", "-1", -1),
        ] as [(String, String, Int64)])
    func patterns(format: String, text: String, expected: Int64) throws {
        #expect(try Self.milliseconds(text, format) == expected)
    }

    @Test("with a format, other looks and impossible times are errors")
    func patternErrors() {
        #expect(throws: RowErrorReason.notATime("2010-12-01", expected: "%m/%d/%Y")) {
            try Self.milliseconds("2010-12-01", "%m/%d/%Y")
        }
        #expect(throws: RowErrorReason.notATime("12/1/2010 8", expected: "%m/%d/%Y")) {
            try Self.milliseconds("12/1/2010 8", "%m/%d/%Y")
        }
        for (format, text) in [
            ("%m/%d/%Y", "2/30/2010"), ("%m/%d/%Y", "13/1/2010"), ("%Y-%j", "2010-366"),
            ("%Y-%j", "2010-0"), ("%Y-%m-%d %I%p", "2010-01-01 13PM"),
            ("%Y-%m-%d %I%p", "2010-01-01 0AM"),
        ] {
            #expect(throws: RowErrorReason.noSuchTime(text)) {
                try Self.milliseconds(text, format)
            }
        }
        // Milliseconds given where seconds are promised: the year 42,886.
        #expect(throws: RowErrorReason.timeOutOfRange("1291191960000")) {
            try Self.milliseconds("1291191960000", "epoch-s")
        }
        // Sixteen digits of seconds are more milliseconds than an Int64 holds.
        for (format, text) in [
            ("epoch-s", "9999999999999999"), ("epoch-s", "-9999999999999999"),
            ("%s", "9223372036854776"), ("%s.%f", "9223372036854775.999"),
            ("%s.%f", "9999999999999999.9"),
        ] {
            #expect(throws: RowErrorReason.timeOutOfRange(text)) {
                try Self.milliseconds(text, format)
            }
        }
        for text in ["", "-", "1.5", "99999999999999999999"] {
            #expect(throws: RowErrorReason.self) { try Self.milliseconds(text, "epoch-ms") }
        }
    }

    @Test(
        "a format that cannot tell one moment is refused",
        arguments: [
            ("", "no directive"), ("iso", "no directive"), ("%", "single %"), ("%Q", "has %Q"),
            ("%Y%Y-%m-%d", "%Y twice"), ("%m/%d", "no year"), ("%Y-%d", "no month"),
            ("%Y-%m", "no day"), ("%Y %y-%m-%d", "both %Y and %y"), ("%Y-%m-%j", "both %m and %j"),
            ("%Y-%m-%d %I:%M", "%I and %p"), ("%Y-%m-%d %H%p", "%I and %p"), ("%s %H", "has %s"),
            ("%Y-%m-%é", "has %"),
        ])
    func badFormats(format: String, problem: String) {
        let error = #expect(throws: ImportOptionError.self) { try TimeParser(format: format) }
        #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }

    @Test("every day of 800 years goes to its number and back, and no other day exists")
    func calendar() {
        var day: Int64 = -(1970 - 1600) * 365 - 90
        for year in 1600..<2400 {
            for month in 1...12 {
                for dayOfMonth in 1...32 {
                    var time = CivilTime()
                    time.year = year
                    time.month = month
                    time.day = dayOfMonth
                    guard time.exists else { continue }
                    guard time.milliseconds == day * 86_400_000,
                        CivilTime(milliseconds: time.milliseconds) == time
                    else {
                        Issue.record("\(time) on day \(day)")
                        return
                    }
                    day += 1
                }
            }
        }
    }

    @Test("what is written is what Foundation writes, and reads back")
    func writing() throws {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        var random = SeededGenerator(state: testSeed())
        for _ in 0..<2000 {
            let milliseconds = Int64.random(in: 0...CivilTime.range.upperBound, using: &random)
            var written: [UInt8] = []
            CivilTime(milliseconds: milliseconds).write(into: &written)
            let text = String(decoding: written, as: UTF8.self)
            #expect(try Self.milliseconds(text) == milliseconds)
            let whole = milliseconds - milliseconds % 1000
            let date = Date(timeIntervalSince1970: Double(whole / 1000))
            var wholeWritten: [UInt8] = []
            CivilTime(milliseconds: whole).write(into: &wholeWritten)
            formatter.formatOptions = [.withInternetDateTime]
            #expect(String(decoding: wholeWritten, as: UTF8.self) == formatter.string(from: date))
        }
    }

    @Test("any bytes give a time or an error")
    func anyBytes() throws {
        var random = SeededGenerator(state: testSeed())
        let alphabet = Array("0123456789-:TZ+. /apmJanDec%".utf8) + [0, 0xFF]
        let parsers = try [nil, "epoch-s", "%s", "%d %b %Y %I:%M%p %z", "%Y%j%f"].map {
            try TimeParser(format: $0)
        }
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                alphabet.randomElement(using: &random)!
            }
            for parser in parsers {
                if let time = try? parser.milliseconds(bytes.span) {
                    #expect(CivilTime.range.contains(time))
                }
            }
        }
    }
}
