/// The number that an event carries: one column as it is, `{Quantity}`, or with its sign turned,
/// `-{Quantity}`.
///
/// Counts of goods are whole numbers of 64 bits. `5.0` is the whole number 5, which is how a
/// spreadsheet may write it; `1.5` is an error, and so is whatever does not fit. A value: any
/// thread may use it.
package struct DeltaExpression: Hashable, Sendable {
    private let column: Int
    private let isNegated: Bool

    /// - Throws: when `text` has another form, or the column is not in the header.
    package init(_ text: String, header: CSVHeader) throws(ImportOptionError) {
        var name = text[...]
        isNegated = name.first == "-"
        if isNegated {
            name.removeFirst()
        }
        guard name.first == "{", name.last == "}", name.count > 2 else {
            throw .notADelta(text)
        }
        name = name.dropFirst().dropLast()
        guard !name.contains("{"), !name.contains("}") else {
            throw .notADelta(text)
        }
        column = try header.index(of: String(name), in: text)
    }

    /// The number of the reader's current row.
    package func value(_ row: borrowing CSVReader) throws(RowErrorReason) -> Int64 {
        try Self.wholeNumber(row.field(column), isNegated: isNegated)
    }

    /// Reads `[+-]digits[.zeros]`, and turns the sign if asked to.
    static func wholeNumber(
        _ bytes: Span<UInt8>, isNegated: Bool
    ) throws(RowErrorReason) -> Int64 {
        var isNegative = isNegated
        var position = 0
        if bytes.count > 0, bytes[0] == UInt8(ascii: "-") || bytes[0] == UInt8(ascii: "+") {
            if bytes[0] == UInt8(ascii: "-") {
                isNegative.toggle()
            }
            position = 1
        }
        // Summed up with the final sign, so that the lowest number needs no special case.
        var value: Int64 = 0
        var overflows = false
        let firstDigit = position
        while position < bytes.count, let digit = digit(bytes[position]) {
            let (product, productOverflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflows) = product.addingReportingOverflow(isNegative ? -digit : digit)
            overflows = overflows || productOverflows || sumOverflows
            value = sum
            position += 1
        }
        guard position > firstDigit else { throw .notANumber(quotation(of: bytes)) }
        var isWhole = true
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            let firstDecimal = position
            while position < bytes.count, let digit = digit(bytes[position]) {
                isWhole = isWhole && digit == 0
                position += 1
            }
            guard position > firstDecimal else { throw .notANumber(quotation(of: bytes)) }
        }
        guard position == bytes.count else { throw .notANumber(quotation(of: bytes)) }
        guard isWhole else { throw .notAWholeNumber(quotation(of: bytes)) }
        guard !overflows else { throw .numberOutOfRange(quotation(of: bytes)) }
        return value
    }

    private static func digit(_ byte: UInt8) -> Int64? {
        let digit = byte &- UInt8(ascii: "0")
        return digit < 10 ? Int64(digit) : nil
    }
}
