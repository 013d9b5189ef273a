/// One row of the input that cannot become an event: where it is, and why.
package struct RowError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The row's first line, counted from 1; the header is a line too.
    package let line: Int
    package let reason: RowErrorReason

    package init(line: Int, reason: RowErrorReason) {
        self.line = line
        self.reason = reason
    }

    package var description: String { "line \(line): \(reason)" }
}

/// What is wrong with a row.
package enum RowErrorReason: Error, Hashable, Sendable {
    // The shape of the row: `CSVReader`.
    case unclosedQuote
    case textAfterClosingQuote
    case carriageReturnWithoutLineFeed
    case wrongFieldCount(expected: Int, found: Int)
    case rowTooLong(bytesMax: Int)
    case invalidUTF8
    case nulByte

    // The number: `DeltaExpression`.
    case notANumber(String)
    case notAWholeNumber(String)
    case numberOutOfRange(String)

    // The time: `TimeParser`.
    case notATime(String, expected: String)
    case noSuchTime(String)
    case timeOutOfRange(String)
    case timeBefore1970(String)
}

extension RowErrorReason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unclosedQuote:
            "a quoted field has no closing quote"
        case .textAfterClosingQuote:
            "text follows a closing quote; a quote inside a quoted field is written twice"
        case .carriageReturnWithoutLineFeed:
            "a carriage return outside quotes is not followed by a line feed"
        case .wrongFieldCount(let expected, let found):
            "\(found) fields where the header has \(expected)"
        case .rowTooLong(let bytesMax):
            "longer than \(bytesMax) bytes; is a quote missing?"
        case .invalidUTF8:
            "not valid UTF-8"
        case .nulByte:
            "contains a NUL byte"
        case .notANumber(let text):
            "\"\(text)\" is not a number"
        case .notAWholeNumber(let text):
            "\"\(text)\" is not a whole number"
        case .numberOutOfRange(let text):
            "\"\(text)\" does not fit into 64 bits"
        case .notATime(let text, let expected):
            "\"\(text)\" is not a time of the form \(expected)"
        case .noSuchTime(let text):
            "\"\(text)\" is not on the calendar or the clock"
        case .timeOutOfRange(let text):
            "\"\(text)\" lies outside the years 0000 to 9999"
        case .timeBefore1970(let text):
            "\"\(text)\" lies before 1970, and the log has no times before it"
        }
    }
}

/// The text of a field for a message: whole when it is short, else its beginning.
func quotation(of bytes: Span<UInt8>) -> String {
    let bytesMax = 80
    var shown: [UInt8] = []
    for index in 0..<min(bytes.count, bytesMax) {
        shown.append(bytes[index])
    }
    return String(decoding: shown, as: UTF8.self) + (bytes.count > bytesMax ? "..." : "")
}
