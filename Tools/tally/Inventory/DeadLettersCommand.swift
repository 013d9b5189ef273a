import ArgumentParser
import Foundation
import TallyStateStore

/// `tally dead-letters`.
struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Show records that are no inventory events, and why.")

    @Option(help: "Only this topic's.")
    var topic: String?

    @Option(help: "At most so many rows; 0 for all.")
    var limit = 100

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        if limit < 0 { throw ValidationError("--limit cannot be negative.") }
    }

    func run() async throws {
        try await printingRows { streams in
            let queries = InventoryQueries(try StateDatabase(readingDirectory: data.data))
            let letters = try queries.deadLetters(topic: topic, limit: limit == 0 ? nil : limit)
            for letter in letters {
                if rows.json {
                    try streams.output.write(letter.fields)
                } else {
                    try streams.output.write(line: letter.text)
                }
            }
            let count = try queries.deadLetterCount(topic: topic)
            if !rows.json {
                try streams.note("\(letters.count.grouped) of \(count.grouped) dead letters.")
            }
        }
    }
}

extension DeadLetter {
    /// The row's fields in JSON.
    fileprivate func fields(_ line: inout JSONLine) {
        line.field("topic", topic)
        line.field("partition", partition)
        line.field("offset", offset.rawValue)
        line.field("reason", reason)
        line.field("timestamp", timestamp.rawValue)
        line.field("key", orNull: key.map { String(decoding: $0, as: UTF8.self) })
        line.field("value", orNull: value.map { String(decoding: $0, as: UTF8.self) })
    }

    /// The row for people.
    fileprivate var text: String {
        let key = key.map { String(decoding: $0, as: UTF8.self) } ?? "(no key)"
        return "\(topic)-\(partition) offset \(offset), key \(key): \(reason)"
    }
}
