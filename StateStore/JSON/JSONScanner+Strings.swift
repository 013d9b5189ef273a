/// Where a string (or a number) stands in its text, without the quotes.
struct TextRange: Hashable {
    var start: Int
    var end: Int
    /// Whether the string has escapes, so that its characters are not simply its bytes.
    var hasEscapes: Bool

    var count: Int { end &- start }
}

extension JSONScanner {
    /// Skips the string that starts here and checks its escapes and its UTF-8.
    @_lifetime(self: copy self)
    mutating func scanString() throws(JSONFault) -> TextRange {
        guard next == UInt8(ascii: "\"") else { throw fault(.unexpectedByte) }
        advance()
        var range = TextRange(start: position, end: position, hasEscapes: false)
        while true {
            skipPlainCharacters()
            guard let byte = next else { throw fault(.endOfText) }
            switch byte {
            case UInt8(ascii: "\""):
                range.end = position
                advance()
                return range
            case UInt8(ascii: "\\"):
                range.hasEscapes = true
                _ = try scanEscape()
            case 0..<0x20:
                throw fault(.controlCharacter)
            default:
                try skipMultiByteCharacter()
            }
        }
    }

    /// Skips ASCII characters that need no attention, eight at a time.
    ///
    /// Each test sets the top bit of the bytes it finds; a borrow can only spoil bytes above the
    /// first one found, and only the first one counts.
    @inline(__always)
    @_lifetime(self: copy self)
    private mutating func skipPlainCharacters() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        while position &+ 8 <= bytes.byteCount {
            let word = bytes.word(at: position)
            let quotes = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
            let backslashes = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
            var found = (quotes &- ones) & ~quotes
            found |= (backslashes &- ones) & ~backslashes
            found |= (word &- (ones &* 0x20)) & ~word
            found |= word
            found &= tops
            if found != 0 {
                advance(by: found.trailingZeroBitCount &>> 3)
                return
            }
            advance(by: 8)
        }
        while let byte = next, byte >= 0x20, byte < 0x80,
            byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\")
        {
            advance()
        }
    }

    /// Skips one character of two to four bytes: no overlong forms, no surrogates, nothing above
    /// U+10FFFF.
    @_lifetime(self: copy self)
    private mutating func skipMultiByteCharacter() throws(JSONFault) {
        let start = position
        guard let lead = next else { throw fault(.endOfText) }
        // The second byte's range is narrower after some lead bytes.
        let count: Int
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch lead {
        case 0xc2...0xdf: count = 2
        case 0xe0: (count, second) = (3, 0xa0...0xbf)
        case 0xed: (count, second) = (3, 0x80...0x9f)
        case 0xe1...0xef: count = 3
        case 0xf0: (count, second) = (4, 0x90...0xbf)
        case 0xf1...0xf3: count = 4
        case 0xf4: (count, second) = (4, 0x80...0x8f)
        default: throw JSONFault(reason: .invalidUTF8, position: start)
        }
        for index in 1..<count {
            advance()
            guard let byte = next else { throw fault(.endOfText) }
            guard (index == 1 ? second : 0x80...0xbf).contains(byte) else {
                throw JSONFault(reason: .invalidUTF8, position: start)
            }
        }
        advance()
    }

    /// Skips the escape that starts here and gives the character it stands for.
    @_lifetime(self: copy self)
    private mutating func scanEscape() throws(JSONFault) -> Unicode.Scalar {
        let start = position
        advance()
        guard let letter = next else { throw fault(.endOfText) }
        advance()
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            return Unicode.Scalar(letter)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let unit = try scanHexadecimalUnit()
            if let scalar = Unicode.Scalar(unit) { return scalar }
            // A high half must be followed by the escape of a low half.
            guard unit < 0xdc00, next == UInt8(ascii: "\\") else {
                throw JSONFault(reason: .loneSurrogate, position: start)
            }
            advance()
            guard next == UInt8(ascii: "u") else {
                throw JSONFault(reason: .loneSurrogate, position: start)
            }
            advance()
            let low = try scanHexadecimalUnit()
            guard (0xdc00..<0xe000).contains(low),
                let scalar = Unicode.Scalar(
                    0x10000 &+ (UInt32(unit &- 0xd800) &<< 10 | UInt32(low &- 0xdc00)))
            else { throw JSONFault(reason: .loneSurrogate, position: start) }
            return scalar
        default:
            throw JSONFault(reason: .invalidEscape, position: start)
        }
    }

    /// Skips four hexadecimal digits and gives their value.
    @_lifetime(self: copy self)
    private mutating func scanHexadecimalUnit() throws(JSONFault) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next else { throw fault(.endOfText) }
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte &- UInt8(ascii: "a") &+ 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte &- UInt8(ascii: "A") &+ 10
            default: throw fault(.invalidEscape)
            }
            unit = unit &<< 4 | UInt16(digit)
            advance()
        }
        return unit
    }

    /// The characters of a string that this scanner has found, as UTF-8 without escapes.
    static func characters(of range: TextRange, in bytes: RawSpan) -> [UInt8] {
        let text = bytes.extracting(range.start..<range.end)
        guard range.hasEscapes else { return text.copy() }
        var scanner = JSONScanner(text)
        var characters: [UInt8] = []
        characters.reserveCapacity(text.byteCount)
        while let byte = scanner.next {
            if byte == UInt8(ascii: "\\") {
                // Checked when the string was found: an escape cannot be at fault here.
                guard let scalar = try? scanner.scanEscape() else { break }
                characters.append(
                    contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            } else {
                characters.append(byte)
                scanner.advance()
            }
        }
        return characters
    }
}
