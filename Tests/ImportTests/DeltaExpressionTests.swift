import Testing

@testable import TallyImport

@Suite("Delta expression")
struct DeltaExpressionTests {
    static func value(_ text: String, _ field: String) throws -> Int64 {
        let expression = try DeltaExpression(text, header: CSVHeader(columns: ["Id", "Quantity"]))
        return try expression.value(readerOnRow(["Id", "Quantity"], ["x", field]))
    }

    @Test(
        "whole numbers are taken exactly, with their sign or turned",
        arguments: [
            ("6", 6, -6), ("-6", -6, 6), ("+6", 6, -6), ("0", 0, 0), ("-0", 0, 0),
            ("5.0", 5, -5), ("-5.000", -5, 5), ("007", 7, -7), ("-0.0", 0, 0),
            ("9223372036854775807", .max, -.max),
        ] as [(String, Int64, Int64)])
    func wholeNumbers(field: String, plain: Int64, negated: Int64) throws {
        #expect(try Self.value("{Quantity}", field) == plain)
        #expect(try Self.value("-{Quantity}", field) == negated)
    }

    @Test("the lowest number fits with its own sign, and is out of range with the other")
    func lowestNumber() throws {
        let lowest = "-9223372036854775808"
        #expect(try Self.value("{Quantity}", lowest) == .min)
        #expect(throws: RowErrorReason.numberOutOfRange(lowest)) {
            try Self.value("-{Quantity}", lowest)
        }
        #expect(try Self.value("-{Quantity}", "9223372036854775808") == .min)
        #expect(throws: RowErrorReason.numberOutOfRange("9223372036854775808")) {
            try Self.value("{Quantity}", "9223372036854775808")
        }
        let long = String(repeating: "9", count: 100)
        #expect(throws: RowErrorReason.numberOutOfRange(String(long.prefix(80)) + "...")) {
            try Self.value("{Quantity}", long)
        }
    }

    @Test(
        "what is not a whole number is an error that shows it",
        arguments: [
            "", "-", "+", ".", "x", "6x", "x6", " 6", "6 ", "--5", "+-5", "1e3", "1,000", "5.",
            ".5", "5.0.0", "0x10", "٣", "1_0", "nan",
        ])
    func notNumbers(field: String) {
        #expect(throws: RowErrorReason.notANumber(field)) { try Self.value("{Quantity}", field) }
    }

    @Test("a fraction is an error", arguments: ["1.5", "-0.001", "5.01"])
    func fractions(field: String) {
        #expect(throws: RowErrorReason.notAWholeNumber(field)) {
            try Self.value("-{Quantity}", field)
        }
    }

    @Test(
        "other expressions are refused",
        arguments: [
            "", "-", "{}", "-{}", "--{Quantity}", "Quantity", "{Quantity}+1", "2*{Quantity}",
            "{Id}{Quantity}", "+{Quantity}", " {Quantity}", "{Quantity", "Quantity}",
        ])
    func otherExpressions(text: String) {
        #expect(throws: ImportOptionError.notADelta(text)) { try Self.value(text, "6") }
    }

    @Test("an unknown column is refused")
    func unknownColumn() {
        #expect(
            throws: ImportOptionError.unknownColumn(
                name: "Qty", in: "-{Qty}", columns: ["Id", "Quantity"])
        ) { try Self.value("-{Qty}", "6") }
    }
}
