import Foundation
import Testing

@testable import TallyStateStore

@Suite("The JSON scanner")
struct JSONScannerTests {
    @Test(
        "accepts every kind of value",
        arguments: [
            "0", "-0", "1", "-1", "10.25", "1e5", "1E+5", "1.5e-7",
            "123456789012345678901234567890",
            "true", "false", "null", "\"\"", "\"abc\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
            "\"\\u0041\\uD83D\\uDE00\\u0000\"", "\"grün 木 😀\"", "\"\u{7f}\"", "[]", "{}", "[[]]",
            "[1,2]", " [ 1 , 2 ] ", "{\"a\":1}", "{\"a\":{\"b\":[{},[],\"\"]}, \"a\" : null }",
            "\t\n\r [true]\n", "\"1234567\\\"8\"", "\"12345678\"", "\"123456789é\"",
            "[\"a\",{\"b\":[1,[2,{\"c\":[]}]]}]",
        ])
    func accepts(_ text: String) throws {
        try JSONScanner.validate(Array(text.utf8).rawSpan)
    }

    @Test(
        "finds fault with what is not JSON",
        arguments: [
            ("", .endOfText), (" ", .endOfText), ("-", .endOfText), ("01", .invalidNumber),
            ("-01", .invalidNumber), ("+1", .unexpectedByte), (".5", .unexpectedByte),
            ("1.", .endOfText), ("1.x", .invalidNumber), ("1e", .endOfText),
            ("1e+", .endOfText), ("-x", .invalidNumber), ("0x10", .trailingBytes),
            ("tru", .endOfText), ("trux", .unexpectedByte), ("True", .unexpectedByte),
            ("nul", .endOfText), ("NaN", .unexpectedByte), ("\"abc", .endOfText),
            ("\"a\u{1}b\"", .controlCharacter), ("\"a\nb\"", .controlCharacter),
            ("\"\\x\"", .invalidEscape), ("\"\\u12\"", .invalidEscape), ("\"\\u", .endOfText),
            ("\"\\", .endOfText), ("\"\\ud800\"", .loneSurrogate),
            ("\"\\ud800\\n\"", .loneSurrogate), ("\"\\udc00\"", .loneSurrogate),
            ("\"\\ud800\\ud800\"", .loneSurrogate), ("[", .endOfText), ("[1", .endOfText),
            ("[1,", .endOfText), ("[1,]", .unexpectedByte), ("[,1]", .unexpectedByte),
            ("[1 2]", .unexpectedByte), ("[1}", .unexpectedByte), ("{", .endOfText),
            ("{\"a\"", .endOfText), ("{\"a\":", .endOfText), ("{\"a\":1", .endOfText),
            ("{\"a\":1,", .endOfText), ("{\"a\":1,}", .unexpectedByte), ("{a:1}", .unexpectedByte),
            ("{\"a\" 1}", .unexpectedByte), ("{\"a\":1]", .unexpectedByte),
            ("{1:2}", .unexpectedByte), ("1 2", .trailingBytes), ("{}{}", .trailingBytes),
            ("[]]", .trailingBytes), ("/**/1", .unexpectedByte), ("'a'", .unexpectedByte),
            ("\u{feff}1", .unexpectedByte), ("\u{a0}1", .unexpectedByte),
        ] as [(String, JSONFault.Reason)])
    func rejects(_ text: String, _ reason: JSONFault.Reason) {
        let fault = fault(in: Array(text.utf8))
        #expect(fault?.reason == reason, "\(text) gave \(String(describing: fault))")
    }

    @Test(
        "finds fault with bytes that are not UTF-8",
        arguments: [
            [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc2], [0xc2, 0x41], [0xe0, 0x9f, 0xbf],
            [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x8f, 0xbf, 0xbf], [0xf4, 0x90, 0x80, 0x80],
            [0xf5, 0x80, 0x80, 0x80], [0xff], [0xfe],
        ] as [[UInt8]])
    func rejectsInvalidUTF8(_ bytes: [UInt8]) {
        // At every distance from the eight bytes that are looked at in one go.
        for padding in 0..<9 {
            let start = [UInt8(ascii: "\"")] + Array(repeating: UInt8(ascii: "a"), count: padding)
            #expect(fault(in: start + bytes + [UInt8(ascii: "\"")])?.reason == .invalidUTF8)
        }
    }

    @Test("accepts 64 levels of nesting and no more, of either kind")
    func depth() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = open == "[" ? "" : "1"
            func nested(_ depth: Int) -> [UInt8] {
                let text =
                    String(repeating: open, count: depth) + inner
                    + String(repeating: close, count: depth)
                return Array(text.utf8)
            }
            #expect(fault(in: nested(64)) == nil)
            #expect(fault(in: nested(65))?.reason == .tooDeep)
            #expect(fault(in: nested(100_000))?.reason == .tooDeep)
        }
    }

    @Test("tells whole numbers from others at the ends of 64 bits")
    func numbers() throws {
        let expected: [(String, JSONNumber)] = [
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .outOfRange), ("-9223372036854775809", .outOfRange),
            ("99999999999999999999999", .outOfRange), ("0", .integer(0)), ("-0", .integer(0)),
            ("5.0", .notWhole), ("5e0", .notWhole), ("18446744073709551617", .outOfRange),
        ]
        for (text, number) in expected {
            let bytes = Array(text.utf8)
            var scanner = JSONScanner(bytes.rawSpan)
            #expect(try scanner.scanNumber() == number, "\(text)")
        }
    }

    @Test("gives a string's characters without its escapes")
    func characters() throws {
        let bytes = Array("\"a\\n\\u00e9\\ud83d\\ude00\\\\é\"".utf8)
        var scanner = JSONScanner(bytes.rawSpan)
        let range = try scanner.scanString()
        #expect(range.hasEscapes)
        let characters = JSONScanner.characters(of: range, in: bytes.rawSpan)
        #expect(String(decoding: characters, as: UTF8.self) == "a\né😀\\é")
    }

    @Test("agrees with another parser about random damage to JSON")
    func fuzz() {
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        let seeds = [
            #"{"eventType":"STOCK_COUNTED","quantity":-6,"recordedAt":"2010-12-01T08:26:00Z"}"#,
            #"[{"a":[1,2.5e3,-0,true,false,null]},"grün 木 😀","\u0041\ud83d\ude00\n"]"#,
            #" { "x" : { "y" : [ [ ] , { } , "" ] } , "z" : -12.75E-3 } "#,
        ].map { Array($0.utf8) }
        let alphabet =
            Array("{}[]\":,\\u0123456789-+.eEtrufalsn dD8c \n\t\u{1}é".utf8) + [0x80, 0xff]
        var verdicts = [true: 0, false: 0]
        for _ in 0..<20_000 {
            var bytes = seeds.randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[position] = alphabet.randomElement(using: &random)!
                case 1: bytes.insert(alphabet.randomElement(using: &random)!, at: position)
                case 2: bytes.remove(at: position)
                default: bytes.removeSubrange(position...)
                }
            }
            let isValid = fault(in: bytes) == nil
            verdicts[isValid, default: 0] += 1
            if Self.isJudgedDifferently(bytes) { continue }
            let other = try? JSONSerialization.jsonObject(
                with: Data(bytes), options: .fragmentsAllowed)
            #expect(
                isValid == (other != nil),
                "\(String(decoding: bytes, as: UTF8.self)) with seed \(random.seed)")
        }
        #expect(verdicts[true]! > 1000 && verdicts[false]! > 1000)
    }

    /// What the other parser is known to judge by rules of its own: numbers that no `Double`
    /// holds, a comma behind the last element, and bytes that are not UTF-8 or look like another
    /// encoding to it.
    private static func isJudgedDifferently(_ bytes: [UInt8]) -> Bool {
        guard let text = String(validating: bytes, as: UTF8.self) else { return true }
        return bytes.contains(0) || text.contains(#/[eE][+-]?[0-9]{3}|,\s*[\]}]/#)
    }

    private func fault(in bytes: [UInt8]) -> JSONFault? {
        do {
            try JSONScanner.validate(bytes.rawSpan)
            return nil
        } catch {
            return error
        }
    }
}
