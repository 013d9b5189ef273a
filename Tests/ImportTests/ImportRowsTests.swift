import Synchronization
import Testing

@testable import TallyImport

@Suite("Import rows")
struct ImportRowsTests {
    struct Row: Equatable {
        let key: String
        let value: String
        let timestampMilliseconds: Int64
        let line: Int
    }

    static let options = ImportOptions(
        key: "{Country}:{StockCode}", delta: "-{Quantity}", time: "{InvoiceDate}")

    static func text(_ bytes: RawSpan) throws -> String {
        String(copying: try UTF8Span(validating: Span<UInt8>(_bytes: bytes)))
    }

    /// The whole number that begins at `position`. A plain loop: there are half a million of them,
    /// in a debug build.
    static func number(_ bytes: RawSpan, at position: Int) -> Int64? {
        let bytes = Span<UInt8>(_bytes: bytes)
        var position = position
        let isNegative = bytes[position] == UInt8(ascii: "-")
        if isNegative {
            position += 1
        }
        var number: Int64 = 0
        let start = position
        while bytes[position] >= UInt8(ascii: "0"), bytes[position] <= UInt8(ascii: "9") {
            number = number * 10 + Int64(bytes[position] - UInt8(ascii: "0"))
            position += 1
        }
        guard position > start, bytes[position] == UInt8(ascii: ",") else { return nil }
        return isNegative ? -number : number
    }

    static func rows(
        _ table: String, options: ImportOptions = options, onBadRow: BadRowPolicy = .stop
    ) throws -> [Row] {
        var rows = try ImportRows(
            source: PiecewiseSource(Array(table.utf8)), options: options, onBadRow: onBadRow)
        var result: [Row] = []
        while let row = try rows.next() {
            result.append(
                Row(
                    key: try text(row.key), value: try text(row.value),
                    timestampMilliseconds: row.timestampMilliseconds, line: row.line))
        }
        return result
    }

    static let table = """
        InvoiceNo,StockCode,Description,Quantity,InvoiceDate,Country
        536365,85123A,"HOLDER, WHITE",6,2010-12-01 08:26:00,United Kingdom
        C536379,D,"two
        lines",-1,2010-12-01 09:41:00,EIRE

        """

    @Test("a row becomes a key, an event and a time")
    func rows() throws {
        #expect(
            try Self.rows(Self.table) == [
                Row(
                    key: "United Kingdom:85123A",
                    value: #"{"eventType":"STOCK_ADJUSTED","quantityDelta":-6,"#
                        + #""recordedAt":"2010-12-01T08:26:00Z"}"#,
                    timestampMilliseconds: 1_291_191_960_000, line: 2),
                Row(
                    key: "EIRE:D",
                    value: #"{"eventType":"STOCK_ADJUSTED","quantityDelta":1,"#
                        + #""recordedAt":"2010-12-01T09:41:00Z"}"#,
                    timestampMilliseconds: 1_291_196_460_000, line: 3),
            ])
    }

    @Test("the other options reach the event")
    func otherOptions() throws {
        var options = Self.options
        options.eventType = "STOCK_SHIPPED"
        options.eventID = "{InvoiceNo}/{StockCode}"
        options.timeFormat = "%Y-%m-%d %H:%M:%S"
        options.reason = "sale"
        options.channel = "web"
        #expect(
            try Self.rows(Self.table, options: options).first?.value
                == #"{"eventType":"STOCK_SHIPPED","quantity":-6,"recordedAt":"#
                + #""2010-12-01T08:26:00Z","eventId":"536365/85123A","reason":"sale","#
                + #""channel":"web"}"#)
    }

    static let tableWithBadRows = """
        StockCode,Quantity,InvoiceDate,Country
        A,1,2010-12-01,X
        B,1.5,2010-12-01,X
        C,1,2010-02-30,X
        D,1,2010-12-01
        E,1,1969-12-31,X
        F,"1"x,2010-12-01,X
        G,2,2010-12-01,X
        """

    @Test("bad rows are told with line and reason, counted and skipped")
    func skip() throws {
        let reported = Mutex<[RowError]>([])
        var rows = try ImportRows(
            source: PiecewiseSource(Array(Self.tableWithBadRows.utf8)), options: Self.options,
            onBadRow: .skip { error in reported.withLock { $0.append(error) } })
        var lines: [Int] = []
        while let row = try rows.next() {
            lines.append(row.line)
        }
        #expect(lines == [2, 8])
        #expect(rows.rowCount == 2)
        #expect(rows.badRowCount == 5)
        #expect(
            reported.withLock { $0 } == [
                RowError(line: 3, reason: .notAWholeNumber("1.5")),
                RowError(line: 4, reason: .noSuchTime("2010-02-30")),
                RowError(line: 5, reason: .wrongFieldCount(expected: 4, found: 3)),
                RowError(line: 6, reason: .timeBefore1970("1969-12-31")),
                RowError(line: 7, reason: .textAfterClosingQuote),
            ])
    }

    @Test("or the first bad row stops the import")
    func stop() {
        #expect(throws: RowError(line: 3, reason: .notAWholeNumber("1.5"))) {
            try Self.rows(Self.tableWithBadRows)
        }
    }

    @Test("an error of the input is never a skipped row")
    func inputError() {
        struct Broken: ByteSource {
            var calls = 0
            mutating func read(into buffer: inout [UInt8], from start: Int) throws -> Int {
                calls += 1
                guard calls == 1 else { throw ByteInputError.truncatedFrame(name: "x") }
                let bytes = Array("StockCode,Quantity,InvoiceDate,Country\nA,".utf8)
                buffer.replaceSubrange(start..<start + bytes.count, with: bytes)
                return bytes.count
            }
        }
        #expect(throws: ByteInputError.truncatedFrame(name: "x")) {
            var rows = try ImportRows(
                source: Broken(), options: Self.options, onBadRow: .skip { _ in })
            while try rows.next() != nil {}
        }
    }

    @Test("options that cannot work are refused before a row is read")
    func badOptions() {
        for change in [
            { $0.key = "{Shop}" }, { $0.delta = "{Amount}" }, { $0.delta = "1" },
            { $0.time = "{When}" }, { $0.timeFormat = "%d" }, { $0.eventType = "SOLD" },
            { $0.eventID = "{Id" }, { $0.eventType = "HOLD_RELEASED" },
        ] as [(inout ImportOptions) -> Void] {
            var options = Self.options
            change(&options)
            #expect(throws: ImportOptionError.self) { try Self.rows(Self.table, options: options) }
        }
    }

    struct Total: Equatable {
        var quantity: Int64 = 0
        var events = 0
    }

    /// The sum and the number of rows per key, worked out by other tools.
    static func oracle() throws -> [String: Total] {
        var reader = CSVReader(
            source: try ByteInput(path: fixturePath("online-retail-final-quantity.csv.lz4")))
        let header = try reader.readHeader()
        #expect(header.columns == ["Country", "StockCode", "FinalQuantity", "Events"])
        var totals: [String: Total] = [:]
        while try reader.next() {
            let fields = reader.fields.map { String(decoding: reader.buffer[$0], as: UTF8.self) }
            totals[fields[0] + ":" + fields[1]] = Total(
                quantity: try #require(Int64(fields[2])), events: try #require(Int(fields[3])))
        }
        return totals
    }

    @Test("the real table gives every row, and per key the sums that other tools found")
    func realTable() throws {
        var rows = try ImportRows(
            source: ByteInput(path: fixturePath("online-retail.csv.lz4")), options: Self.options)
        var totals: [String: Total] = [:]
        var before: Int64 = 0
        let numberStart = #"{"eventType":"STOCK_ADJUSTED","quantityDelta":"#.utf8.count
        while let row = try rows.next() {
            // In order of time, and each event with its own number, read back from the JSON.
            let number = Self.number(row.value, at: numberStart)
            var total = totals[try Self.text(row.key), default: Total()]
            guard let number, row.timestampMilliseconds >= before else {
                Issue.record("line \(row.line): \(try Self.text(row.value))")
                return
            }
            total.quantity -= number
            total.events += 1
            totals[try Self.text(row.key)] = total
            before = row.timestampMilliseconds
        }
        #expect(rows.rowCount == 541_909)
        #expect(totals.count == 19_839)
        #expect(totals.values.reduce(0) { $0 + $1.quantity } == 5_176_450)
        #expect(totals == (try Self.oracle()))
    }
}
