import Testing

@testable import TallyImport

@Suite("CSV reader")
struct CSVReaderTests {
    struct Oddity: CustomTestStringConvertible, Sendable {
        let name: String
        let text: String
        let rows: [[String]]

        init(_ name: String, _ text: String, _ rows: [[String]]) {
            self.name = name
            self.text = text
            self.rows = rows
        }

        var testDescription: String { name }
    }

    static let oddities: [Oddity] = [
        Oddity("rows with LF", "a,b\nc,d\n", [["a", "b"], ["c", "d"]]),
        Oddity("rows with CRLF", "a,b\r\nc,d\r\n", [["a", "b"], ["c", "d"]]),
        Oddity("LF and CRLF mixed", "a\r\nb\nc", [["a"], ["b"], ["c"]]),
        Oddity("no line end at the end", "a,b\nc,d", [["a", "b"], ["c", "d"]]),
        Oddity("nothing", "", []),
        Oddity("a byte order mark", "\u{FEFF}a,b\n", [["a", "b"]]),
        Oddity("a byte order mark and a quote", "\u{FEFF}\"a\",b\n", [["a", "b"]]),
        Oddity("only a byte order mark", "\u{FEFF}", []),
        Oddity("a byte order mark later is data", "a\n\u{FEFF}b\n", [["a"], ["\u{FEFF}b"]]),
        Oddity("empty lines", "\n\r\na\n\n\r\nb\n\n", [["a"], ["b"]]),
        Oddity("empty fields", ",\n,,\na,", [["", ""], ["", "", ""], ["a", ""]]),
        Oddity("an empty quoted field is a row", "\"\"\n\"\"", [[""], [""]]),
        Oddity("a comma in quotes", "\"a,b\",c\n", [["a,b", "c"]]),
        Oddity("line ends in quotes", "\"a\nb\r\nc\",d\n", [["a\nb\r\nc", "d"]]),
        Oddity("doubled quotes", "\"a\"\"b\",\"\"\"\",\"\"\"c\"\"\"\n", [["a\"b", "\"", "\"c\""]]),
        Oddity("only doubled quotes", "\"\"\"\"\"\"\n", [["\"\""]]),
        Oddity("a quote inside a plain field is data", "7\" LP,a\"\"b\n", [["7\" LP", "a\"\"b"]]),
        Oddity("spaces are data", " a , \"b\"\n", [[" a ", " \"b\""]]),
        Oddity("quoted last field without a line end", "a,\"b\"", [["a", "b"]]),
        Oddity("quoted field before CRLF", "a,\"b\"\r\nc,d\r\n", [["a", "b"], ["c", "d"]]),
        Oddity("more than ASCII", "£,日本\n\"é\"\"ß\",🙂\n", [["£", "日本"], ["é\"ß", "🙂"]]),
        Oddity("other control characters", "a\tb,\u{1}\u{7F}\n", [["a\tb", "\u{1}\u{7F}"]]),
        Oddity("bytes over 63 that share low bits with stops", "l,jJ\u{6D}\n", [["l", "jJm"]]),
    ]

    @Test("the oddities of RFC 4180 are read as they are meant", arguments: oddities)
    func oddity(_ oddity: Oddity) throws {
        let rows = try outcomes(oddity.text).map { outcome in
            if case .row(_, let fields) = outcome { fields } else { ["\(outcome)"] }
        }
        #expect(rows == oddity.rows)
    }

    struct BadTable: CustomTestStringConvertible, Sendable {
        let name: String
        let bytes: [UInt8]
        let outcomes: [CSVOutcome]

        init(_ name: String, _ text: String, _ outcomes: [CSVOutcome]) {
            self.init(name, Array(text.utf8), outcomes)
        }

        init(_ name: String, _ bytes: [UInt8], _ outcomes: [CSVOutcome]) {
            self.name = name
            self.bytes = bytes
            self.outcomes = outcomes
        }

        var testDescription: String { name }
    }

    static let badTables: [BadTable] = [
        BadTable(
            "an unclosed quote costs its line and no more", "a,b\n\"c,d\ne,f\n",
            [.row(1, ["a", "b"]), .bad(2, .unclosedQuote), .row(3, ["e", "f"])]),
        BadTable("an unclosed quote in the last line", "a,\"b", [.bad(1, .unclosedQuote)]),
        BadTable(
            "text after a closing quote", "\"a\"b,c\nd,e\n",
            [.bad(1, .textAfterClosingQuote), .row(2, ["d", "e"])]),
        BadTable(
            "a space after a closing quote", "a,\"b\" \nd,e\n",
            [.bad(1, .textAfterClosingQuote), .row(2, ["d", "e"])]),
        BadTable(
            "a row too short and one too long", "a\nb,c\nd,e,f\n",
            [
                .bad(1, .wrongFieldCount(expected: 2, found: 1)), .row(2, ["b", "c"]),
                .bad(3, .wrongFieldCount(expected: 2, found: 3)),
            ]),
        BadTable(
            "a bad row of several lines is left behind whole", "\"a\nb\"\nc,d\n",
            [.bad(1, .wrongFieldCount(expected: 2, found: 1)), .row(3, ["c", "d"])]),
        BadTable(
            "NUL bytes, plain and quoted", "a,\0\n\"\0\",b\nc,d\n",
            [.bad(1, .nulByte), .bad(2, .nulByte), .row(3, ["c", "d"])]),
        BadTable(
            "bytes that are not UTF-8", Array("a,b".utf8) + [0xFF] + Array("\nc,d\n".utf8),
            [.bad(1, .invalidUTF8), .row(2, ["c", "d"])]),
        BadTable(
            "UTF-8 broken off by a comma", Array("a".utf8) + [0xC3] + Array(",b\nc,d".utf8),
            [.bad(1, .invalidUTF8), .row(2, ["c", "d"])]),
        BadTable(
            "a surrogate, which UTF-8 has not", Array("a,".utf8) + [0xED, 0xA0, 0x80, 0x0A],
            [.bad(1, .invalidUTF8)]),
        BadTable(
            "a carriage return alone", "a\rb,c\nd,e\n",
            [.bad(1, .carriageReturnWithoutLineFeed), .row(2, ["d", "e"])]),
        BadTable(
            "a carriage return alone after a quote", "a,\"b\"\rc\nd,e\n",
            [.bad(1, .carriageReturnWithoutLineFeed), .row(2, ["d", "e"])]),
        BadTable(
            "a carriage return at the very end", "a,b\r",
            [.bad(1, .carriageReturnWithoutLineFeed)]),
        BadTable(
            "lines are counted through quotes and empty lines",
            "\n\n\"a\n\nb\",c\n\nd,e\nf\n",
            [
                .row(3, ["a\n\nb", "c"]), .row(7, ["d", "e"]),
                .bad(8, .wrongFieldCount(expected: 2, found: 1)),
            ]),
    ]

    @Test("a bad row has its line and its reason, and reading goes on", arguments: badTables)
    func badTable(_ table: BadTable) throws {
        #expect(try outcomes(PiecewiseSource(table.bytes), fieldCount: 2) == table.outcomes)
    }

    @Test("wherever the input is cut in pieces, the rows and the errors are the same")
    func cutAnywhere() throws {
        var bytes: [[UInt8]] = Self.oddities.map { Array($0.text.utf8) }
        bytes += Self.badTables.map(\.bytes)
        bytes.append(bytes.flatMap { $0 + [0x0A] })
        for bytes in bytes {
            let whole = try outcomes(PiecewiseSource(bytes), fieldCount: 2)
            for cut in 0...bytes.count {
                let source = PiecewiseSource(bytes, cuts: [cut])
                #expect(try outcomes(source, fieldCount: 2) == whole, "cut at \(cut)")
            }
            for pieceBytes in [1, 2, 3] {
                let source = PiecewiseSource(bytes, pieceBytes: pieceBytes)
                #expect(try outcomes(source, bufferBytes: 4, fieldCount: 2) == whole)
            }
        }
    }

    @Test("random tables read alike in any pieces, with any buffer, at any row limit")
    func randomTables() throws {
        var random = SeededGenerator(state: testSeed())
        let alphabet = Array("ab,,\"\"\"\n\n\r\0é".utf8) + [0xFF]
        for _ in 0..<400 {
            let bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in
                alphabet.randomElement(using: &random)!
            }
            let rowBytesMax = Int.random(in: 4...40, using: &random)
            let whole = try outcomes(PiecewiseSource(bytes), rowBytesMax: rowBytesMax)
            let cuts = (0..<4).map { _ in Int.random(in: 0...bytes.count, using: &random) }
            let bufferBytes = Int.random(in: 4...60, using: &random)
            let cut = try outcomes(
                PiecewiseSource(bytes, cuts: cuts), rowBytesMax: rowBytesMax,
                bufferBytes: bufferBytes)
            #expect(cut == whole, "\(bytes) at limit \(rowBytesMax), buffer \(bufferBytes)")
        }
    }

    @Test("a row over the limit is an error, one at the limit is not")
    func rowLimit() throws {
        // Ten bytes with its line end, then eleven.
        let text = "12345678,\n123456789,\nabc,d\n"
        let expected: [CSVOutcome] = [
            .row(1, ["12345678", ""]), .bad(2, .rowTooLong(bytesMax: 10)), .row(3, ["abc", "d"]),
        ]
        #expect(try outcomes(text, rowBytesMax: 10) == expected)
    }

    @Test("a line without end takes no more memory than the limit allows")
    func endlessLine() throws {
        let bytes = [UInt8](repeating: 0x61, count: 1_000_000) + Array("\nb\n".utf8)
        var reader = CSVReader(
            source: PiecewiseSource(bytes), rowBytesMax: 5000, bufferBytes: 1024)
        let error = #expect(throws: RowError.self) { _ = try reader.next() }
        #expect(error == RowError(line: 1, reason: .rowTooLong(bytesMax: 5000)))
        #expect(try reader.next())
        #expect(reader.line == 2)
        #expect(reader.buffer.count <= 5001)
        #expect(try !reader.next())
    }

    @Test("the header names the columns, and tells names that are there twice")
    func header() throws {
        var reader = CSVReader(source: PiecewiseSource(Array("a,\"b c\",,\n".utf8)))
        let header = try reader.readHeader()
        #expect(header.columns == ["a", "b c", "", ""])
        #expect(try header.index(of: "b c", in: "{b c}") == 1)
        let unknown = #expect(throws: ImportOptionError.self) {
            try header.index(of: "B", in: "{B}")
        }
        #expect(
            unknown?.description
                == "there is no column \"B\", which \"{B}\" uses; the columns are "
                + "\"a\", \"b c\", \"\", \"\"")
        #expect(throws: ImportOptionError.duplicateColumns(names: ["x"], columns: ["x", "y", "x"]))
        { try CSVHeader(columns: ["x", "y", "x"]) }
        var empty = CSVReader(source: PiecewiseSource([]))
        let none = #expect(throws: ImportOptionError.self) { _ = try empty.readHeader() }
        #expect(none == .noHeader)
    }
}
