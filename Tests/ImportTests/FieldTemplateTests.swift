import Testing

@testable import TallyImport

@Suite("Field template")
struct FieldTemplateTests {
    static let columns = ["Country", "Stock Code", "Ort", "}"]

    static func render(_ text: String) throws -> String {
        let row = try readerOnRow(columns, ["United Kingdom", "85123A", "Köln", "brace"])
        let template = try FieldTemplate(text, header: CSVHeader(columns: columns))
        var output = Array("> ".utf8)
        template.render(row, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test(
        "names in braces are filled in, doubled braces are braces",
        arguments: [
            ("{Country}:{Stock Code}", "United Kingdom:85123A"),
            ("{Ort}{Ort}", "KölnKöln"),
            ("", ""),
            ("plain ä", "plain ä"),
            ("{{{Ort}}}", "{Köln}"),
            ("{{Ort}}", "{Ort}"),
            ("{{}}", "{}"),
            ("a{Ort}b", "aKölnb"),
        ])
    func render(text: String, expected: String) throws {
        #expect(try Self.render(text) == "> " + expected)
    }

    @Test("an unknown column is an error that lists the columns")
    func unknownColumn() {
        let error = #expect(throws: ImportOptionError.self) { try Self.render("{Country}:{Item}") }
        #expect(
            error?.description
                == "there is no column \"Item\", which \"{Country}:{Item}\" uses; the columns are "
                + "\"Country\", \"Stock Code\", \"Ort\", \"}\"")
        #expect(throws: ImportOptionError.self) { try Self.render("{}") }
        #expect(throws: ImportOptionError.self) { try Self.render("{country}") }
    }

    @Test("braces without a partner are errors")
    func braces() {
        #expect(throws: ImportOptionError.unclosedBrace(in: "a{Ort")) { try Self.render("a{Ort") }
        #expect(throws: ImportOptionError.unclosedBrace(in: "{")) { try Self.render("{") }
        #expect(throws: ImportOptionError.strayClosingBrace(in: "Ort}")) { try Self.render("Ort}") }
        #expect(throws: ImportOptionError.strayClosingBrace(in: "{Ort}}")) {
            try Self.render("{Ort}}")
        }
    }
}
