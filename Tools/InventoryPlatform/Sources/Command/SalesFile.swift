import Foundation
import Tally

/// One line of an invoice.
struct Sale: Hashable, Sendable {
    /// The number of the row in the file, from 1: exact repetitions are sales of their own.
    var row: Int
    /// The invoice; one that begins with C is a cancellation.
    var invoice: String
    /// The item, `country:stock code`.
    var key: String
    /// Pieces; below 0 for what came back.
    var quantity: Int64
    /// When, in milliseconds since 1970.
    var at: Timestamp

    /// Names the sale for ever.
    var id: String { "\(invoice)-\(row)" }
}

/// Reads the data set "Online Retail" or a part of it: CSV with a header.
struct SalesFile {
    let sales: [Sale]

    private static let columns = [
        "InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "Country",
    ]

    init(path: String) throws(UsageError) {
        guard let bytes = FileManager.default.contents(atPath: path) else {
            throw UsageError("\(path) cannot be read. Give a CSV file with --rows.")
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        let header = Self.fields(of: lines.first ?? "")
        var places: [Int] = []
        for column in Self.columns {
            guard let place = header.firstIndex(of: column) else {
                throw UsageError("\(path): the header has no column \(column)")
            }
            places.append(place)
        }
        var sales: [Sale] = []
        for (index, line) in lines.dropFirst().enumerated() {
            let all = Self.fields(of: line)
            guard all.count == header.count else {
                throw UsageError(
                    "\(path), row \(index + 1): \(all.count) fields instead of \(header.count)")
            }
            let fields = places.map { all[$0] }
            guard let quantity = Int64(fields[2]), let time = Self.time(fields[3]) else {
                throw UsageError(
                    "\(path), row \(index + 1): \"\(fields[2])\" should be a number of pieces and "
                        + "\"\(fields[3])\" a time like 2010-12-01 08:26:00")
            }
            sales.append(
                Sale(
                    row: index + 1, invoice: fields[0], key: "\(fields[4]):\(fields[1])",
                    quantity: quantity, at: time))
        }
        self.sales = sales
    }

    /// The fields of a line; those in quotation marks may hold commas, and two marks for one.
    private static func fields(of line: Substring) -> [String] {
        var fields = [""]
        var isQuoted = false
        var wasMark = false
        for character in line {
            if character == "\"" {
                if wasMark { fields[fields.count - 1].append("\"") }
                isQuoted.toggle()
                wasMark = !isQuoted
                continue
            }
            wasMark = false
            if character == ",", !isQuoted {
                fields.append("")
            } else {
                fields[fields.count - 1].append(character)
            }
        }
        return fields
    }

    private static func time(_ text: String) -> Timestamp? {
        let strategy = Date.ISO8601FormatStyle(dateTimeSeparator: .space)
            .year().month().day().time(includingFractionalSeconds: false)
        guard let date = try? strategy.parse(text) else { return nil }
        return Timestamp(milliseconds: Int64(date.timeIntervalSince1970 * 1000))
    }
}

/// What somebody who types a command got wrong, in words.
struct UsageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
