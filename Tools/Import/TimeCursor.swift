/// Walks over the bytes of a time: each method takes something off the front, or leaves all as it
/// is and says so.
struct TimeCursor: ~Escapable {
    let bytes: Span<UInt8>
    private(set) var position = 0

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    /// The next byte, which stays where it is.
    var peeked: UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Takes one given byte.
    @_lifetime(self: copy self)
    mutating func take(_ byte: UInt8) -> Bool {
        guard peeked == byte else { return false }
        position += 1
        return true
    }

    /// Takes one of two given bytes.
    @_lifetime(self: copy self)
    mutating func take(_ one: UInt8, or other: UInt8) -> Bool {
        take(one) || take(other)
    }

    /// Takes the next digit.
    @_lifetime(self: copy self)
    mutating func takeDigit() -> Int? {
        guard let byte = peeked, byte &- UInt8(ascii: "0") < 10 else { return nil }
        position += 1
        return Int(byte - UInt8(ascii: "0"))
    }

    /// Takes as many digits as there are, `digits.upperBound` at most (18 would always fit).
    @_lifetime(self: copy self)
    mutating func takeNumber(digits: ClosedRange<Int>) -> Int? {
        let start = position
        var number = 0
        while position - start < digits.upperBound, let digit = takeDigit() {
            number = number * 10 + digit
        }
        guard position - start >= digits.lowerBound else {
            position = start
            return nil
        }
        return number
    }

    /// Takes the digits behind a decimal point as milliseconds, rounded down.
    @_lifetime(self: copy self)
    mutating func takeFractionMilliseconds() -> Int? {
        guard var milliseconds = takeDigit() else { return nil }
        for _ in 0..<2 {
            milliseconds = milliseconds * 10 + (takeDigit() ?? 0)
        }
        while takeDigit() != nil {}
        return milliseconds
    }

    /// Takes a time zone as minutes east of UTC: `Z`, `+01:00`, `+0100` or `+01`.
    @_lifetime(self: copy self)
    mutating func takeZoneMinutes() -> Int? {
        if take(UInt8(ascii: "Z"), or: UInt8(ascii: "z")) {
            return 0
        }
        let start = position
        let isWest = peeked == UInt8(ascii: "-")
        guard isWest || peeked == UInt8(ascii: "+") else { return nil }
        position += 1
        guard let hours = takeNumber(digits: 2...2) else {
            position = start
            return nil
        }
        let hasColon = take(UInt8(ascii: ":"))
        let minutes = takeNumber(digits: 2...2)
        guard hours < 24, minutes ?? 0 < 60, minutes != nil || !hasColon else {
            position = start
            return nil
        }
        let offset = hours * 60 + (minutes ?? 0)
        return isWest ? -offset : offset
    }

    /// Takes an English word of ASCII letters, whatever their case, and gives its index.
    @_lifetime(self: copy self)
    mutating func takeWord(of words: [String]) -> Int? {
        for (index, word) in words.enumerated() {
            let letters = Array(word.utf8)
            guard bytes.count - position >= letters.count else { continue }
            let isMatch = letters.indices.allSatisfy {
                bytes[position + $0] | 0x20 == letters[$0] | 0x20
            }
            if isMatch {
                position += letters.count
                return index
            }
        }
        return nil
    }
}
