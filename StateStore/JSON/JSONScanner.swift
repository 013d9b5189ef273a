/// Walks JSON text (RFC 8259) once, without building anything, and finds fault with whatever is
/// not JSON.
///
/// Total: any bytes end in a value or a `JSONFault`, in time linear in their number and without
/// recursion. Strings must be UTF-8 and their escapes must stand for characters (a lone surrogate
/// does not); nesting ends at 64 levels; a byte order mark is refused.
struct JSONScanner: ~Escapable {
    let bytes: RawSpan
    /// The next byte to look at.
    private(set) var position: Int

    /// The deepest nesting that is accepted; the open containers are bits of one word.
    static let depthMax = 64

    @_lifetime(copy bytes)
    init(_ bytes: RawSpan) {
        self.bytes = bytes
        self.position = 0
    }

    /// Checks that `bytes` are one JSON value with nothing but white space around it.
    static func validate(_ bytes: RawSpan) throws(JSONFault) {
        var scanner = JSONScanner(bytes)
        try scanner.skipValue()
        try scanner.expectEnd()
    }

    /// The next byte, or nil at the end.
    @inline(__always)
    var next: UInt8? {
        position < bytes.byteCount ? bytes.byte(at: position) : nil
    }

    @inline(__always)
    @_lifetime(self: copy self)
    mutating func advance(by count: Int = 1) { position &+= count }

    /// The fault `reason` here, or the end of the text where there is nothing more.
    func fault(_ reason: JSONFault.Reason) -> JSONFault {
        let ended = position >= bytes.byteCount
        return JSONFault(reason: ended ? .endOfText : reason, position: position)
    }

    @inline(__always)
    @_lifetime(self: copy self)
    mutating func skipWhitespace() {
        while let byte = next, byte <= 0x20 {
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
            position &+= 1
        }
    }

    /// Skips white space and then the byte `byte`, which must be there.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func expect(_ byte: UInt8) throws(JSONFault) {
        skipWhitespace()
        guard next == byte else { throw fault(.unexpectedByte) }
        position &+= 1
    }

    /// Skips white space; the text must end after it.
    @_lifetime(self: copy self)
    mutating func expectEnd() throws(JSONFault) {
        skipWhitespace()
        guard position == bytes.byteCount else { throw fault(.trailingBytes) }
    }

    /// Skips the literal `text`, which must stand here.
    @_lifetime(self: copy self)
    mutating func skipLiteral(_ text: String) throws(JSONFault) {
        for byte in text.utf8 {
            guard next == byte else { throw fault(.unexpectedByte) }
            position &+= 1
        }
    }

    /// Skips white space and one value of any kind.
    @_lifetime(self: copy self)
    mutating func skipValue() throws(JSONFault) {
        var open = OpenContainers()
        repeat {
            skipWhitespace()
            switch next {
            case UInt8(ascii: "{"):
                try open.push(isObject: true, at: position)
                position &+= 1
                skipWhitespace()
                guard next == UInt8(ascii: "}") else {
                    try skipName()
                    continue
                }
                open.pop()
                position &+= 1
            case UInt8(ascii: "["):
                try open.push(isObject: false, at: position)
                position &+= 1
                skipWhitespace()
                guard next == UInt8(ascii: "]") else { continue }
                open.pop()
                position &+= 1
            default:
                try skipScalar()
            }
            try closeContainers(&open)
        } while open.depth > 0
    }

    /// After a value: closes what ends here, up to the place of the next value.
    @_lifetime(self: copy self)
    private mutating func closeContainers(_ open: inout OpenContainers) throws(JSONFault) {
        while open.depth > 0 {
            skipWhitespace()
            switch (next, open.innermostIsObject) {
            case (UInt8(ascii: ","), true):
                position &+= 1
                skipWhitespace()
                return try skipName()
            case (UInt8(ascii: ","), false):
                position &+= 1
                return
            case (UInt8(ascii: "}"), true), (UInt8(ascii: "]"), false):
                position &+= 1
                open.pop()
            default:
                throw fault(.unexpectedByte)
            }
        }
    }

    /// Skips a member's name and the colon behind it.
    @_lifetime(self: copy self)
    private mutating func skipName() throws(JSONFault) {
        _ = try scanString()
        try expect(UInt8(ascii: ":"))
    }

    /// Skips a string, a number, or a literal.
    @_lifetime(self: copy self)
    private mutating func skipScalar() throws(JSONFault) {
        switch next {
        case UInt8(ascii: "\""): _ = try scanString()
        case UInt8(ascii: "t"): try skipLiteral("true")
        case UInt8(ascii: "f"): try skipLiteral("false")
        case UInt8(ascii: "n"): try skipLiteral("null")
        default: _ = try scanNumber()
        }
    }
}

/// The containers that are open while a value is skipped: one bit each, set for an object.
private struct OpenContainers {
    private var kinds: UInt64 = 0
    private(set) var depth = 0

    var innermostIsObject: Bool { kinds & 1 == 1 }

    mutating func push(isObject: Bool, at position: Int) throws(JSONFault) {
        guard depth < JSONScanner.depthMax else {
            throw JSONFault(reason: .tooDeep, position: position)
        }
        kinds = kinds &<< 1 | (isObject ? 1 : 0)
        depth &+= 1
    }

    mutating func pop() {
        kinds &>>= 1
        depth &-= 1
    }
}
