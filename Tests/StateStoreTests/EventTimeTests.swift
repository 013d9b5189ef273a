import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("Times of events")
struct EventTimeTests {
    @Test(
        "RFC 3339 text gives milliseconds",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2010-12-01T08:26:00Z", 1_291_191_960_000),
            ("2010-12-01t08:26:00z", 1_291_191_960_000),
            ("2010-12-01 08:26:00Z", 1_291_191_960_000),
            ("2010-12-01T09:26:00+01:00", 1_291_191_960_000),
            ("2010-12-01T02:56:00-05:30", 1_291_191_960_000), ("1969-12-31T23:59:59.999Z", -1),
            ("1970-01-01T00:00:00.1Z", 100), ("1970-01-01T00:00:00.123999999Z", 123),
            ("1970-01-01T00:00:60Z", 60_000), ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] as [(String, Int64)])
    func parses(_ text: String, _ milliseconds: Int64) {
        #expect(EventTime.parse(Array(text.utf8).rawSpan)?.rawValue == milliseconds)
    }

    @Test(
        "other text is no time",
        arguments: [
            "", "2010-12-01", "2010-12-01T08:26:00", "2010-12-01T08:26Z", "2010-12-01T24:00:00Z",
            "2010-12-01T08:60:00Z", "2010-12-01T08:26:61Z", "2010-13-01T08:26:00Z",
            "2010-00-01T08:26:00Z", "2010-12-00T08:26:00Z", "2010-02-29T08:26:00Z",
            "1900-02-29T08:26:00Z", "2010-04-31T08:26:00Z", "2010-12-01T08:26:00.Z",
            "2010-12-01T08:26:00+0100", "2010-12-01T08:26:00+01", "2010-12-01T08:26:00+24:00",
            "2010-12-01T08:26:00Zx", "2010-12-01T08:26:00.5", "+010-12-01T08:26:00Z",
            "2010/12/01T08:26:00Z", "2010-12-01T08.26.00Z", "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "2010-12-01T08:26:00." + String(repeating: "1", count: 44) + "Z",
        ])
    func rejects(_ text: String) {
        #expect(EventTime.parse(Array(text.utf8).rawSpan) == nil)
    }

    @Test("what is written is read back, and agrees with the calendar of the system")
    func roundTrip() throws {
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        for _ in 0..<5000 {
            let time = Timestamp(milliseconds: .random(in: EventTime.range, using: &random))
            let text = EventTime.text(time)
            #expect(EventTime.parse(Array(text.utf8).rawSpan) == time, "\(text)")
            // The system's calendar is Julian before 1582.
            guard time.rawValue > -12_000_000_000_000 else { continue }
            let date = Date(timeIntervalSince1970: (Double(time.rawValue) / 1000).rounded(.down))
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second], from: date)
            let expected = String(
                format: "%04d-%02d-%02dT%02d:%02d:%02d", parts.year!, parts.month!, parts.day!,
                parts.hour!, parts.minute!, parts.second!)
            #expect(text.hasPrefix(expected), "\(text) and \(expected)")
        }
    }
}
