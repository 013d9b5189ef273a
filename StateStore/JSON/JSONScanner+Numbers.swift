/// A JSON number, as far as events have a use for it.
enum JSONNumber: Hashable {
    /// Written as a whole number that an `Int64` holds.
    case integer(Int64)
    /// Written as a whole number that no `Int64` holds.
    case outOfRange
    /// Written with a fraction or an exponent, whatever its value.
    case notWhole
}

extension JSONScanner {
    /// Skips the number that starts here. Only its form decides whether it is whole: `5.0` and
    /// `5e0` are not, because a sender that writes quantities so computes them in floating point.
    @_lifetime(self: copy self)
    mutating func scanNumber() throws(JSONFault) -> JSONNumber {
        let start = position
        let isNegative = next == UInt8(ascii: "-")
        if isNegative { advance() }
        guard let first = next, Self.isDigit(first) else {
            // Without a sign this was no number at all.
            throw fault(isNegative ? .invalidNumber : .unexpectedByte)
        }
        // Summed up below zero, where there is one number more.
        var value: Int64 = 0
        var isOutOfRange = false
        repeat {
            guard let byte = next, Self.isDigit(byte) else { break }
            let (tenfold, overflowed) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowedToo) = tenfold.subtractingReportingOverflow(
                Int64(byte &- UInt8(ascii: "0")))
            isOutOfRange = isOutOfRange || overflowed || overflowedToo
            value = sum
            advance()
        } while first != UInt8(ascii: "0")
        if first == UInt8(ascii: "0"), let byte = next, Self.isDigit(byte) {
            throw JSONFault(reason: .invalidNumber, position: start)
        }
        if try skipFractionAndExponent() { return .notWhole }
        if isOutOfRange { return .outOfRange }
        if isNegative { return .integer(value) }
        return value == .min ? .outOfRange : .integer(0 &- value)
    }

    /// Skips what may follow a number's whole part; true when there was any of it.
    @inline(__always)
    @_lifetime(self: copy self)
    private mutating func skipFractionAndExponent() throws(JSONFault) -> Bool {
        var isThere = false
        if next == UInt8(ascii: ".") {
            isThere = true
            advance()
            try skipDigits()
        }
        if let byte = next, byte | 0x20 == UInt8(ascii: "e") {
            isThere = true
            advance()
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { advance() }
            try skipDigits()
        }
        return isThere
    }

    /// Skips digits, of which there must be one at least.
    @_lifetime(self: copy self)
    private mutating func skipDigits() throws(JSONFault) {
        guard let byte = next, Self.isDigit(byte) else { throw fault(.invalidNumber) }
        while let byte = next, Self.isDigit(byte) { advance() }
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10
    }
}
