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
        let queries = InventoryQueries(try StateDatabase(readingDirectory: data.data))
        let letters = try queries.deadLetters(topic: topic, limit: limit == 0 ? nil : limit)
        for letter in letters { Console.out(rows.json ? letter.jsonLine : letter.text) }
        guard !rows.json else { return }
        let count = try queries.deadLetterCount(topic: topic)
        Console.note("\(Format.count(letters.count)) of \(Format.count(count)) dead letters.")
    }
}

extension DeadLetter {
    /// The row as a line of JSON.
    fileprivate var jsonLine: String {
        var line = JSONLine()
        line.add("topic", topic)
        line.add("partition", partition)
        line.add("offset", offset.rawValue)
        line.add("reason", reason)
        line.add("timestamp", timestamp.rawValue)
        line.add("key", key.map { String(decoding: $0, as: UTF8.self) })
        line.add("value", value.map { String(decoding: $0, as: UTF8.self) })
        return line.finished
    }

    /// The row for people.
    fileprivate var text: String {
        let key = key.map { String(decoding: $0, as: UTF8.self) } ?? "(no key)"
        return "\(topic)-\(partition) offset \(offset), key \(key): \(reason)"
    }
}
