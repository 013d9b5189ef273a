import Foundation
import Tally

/// Offsets in a file, as Kafka's tool exports them: a line `topic,partition,offset` for each
/// partition, or `group,topic,partition,offset` where they are of several groups.
enum OffsetResetFile {
    /// Reads a file; empty lines are passed over, and of several groups' lines those of others.
    ///
    /// Throws ``CommandFailure`` that names the line.
    static func read(_ path: String, group: String) throws -> [TopicPartition: Int64] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("cannot read the file \(path)", exitCode: ExitCodes.noInput)
        }
        do {
            return try parse(String(decoding: data, as: UTF8.self), group: group)
        } catch let error as CommandFailure {
            throw CommandFailure("\(path), \(error)", exitCode: error.exitCode)
        }
    }

    /// Reads the text of a file. Throws ``CommandFailure`` that names the line.
    static func parse(_ text: String, group: String) throws -> [TopicPartition: Int64] {
        var offsets: [TopicPartition: Int64] = [:]
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            // A group's id may have commas in it; a topic's name has none.
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map {
                unquoted($0.trimmingCharacters(in: .whitespaces))
            }
            func failure(_ reason: String) -> CommandFailure {
                CommandFailure("line \(index + 1): \(reason)")
            }
            guard fields.count >= 3 else {
                throw failure("topic,partition,offset are wanted, and not \(line.prefix(80))")
            }
            if fields.count > 3 {
                let end = line.split(separator: ",", omittingEmptySubsequences: false)
                    .dropLast(3).joined(separator: ",")
                guard unquoted(end.trimmingCharacters(in: .whitespaces)) == group else { continue }
            }
            let last = fields.suffix(3).map { $0 }
            guard !last[0].isEmpty, let partition = Int32(last[1]), partition >= 0,
                let offset = Int64(last[2]), offset >= 0
            else {
                throw failure(
                    "a topic, and two numbers that are 0 or more, are wanted, and not "
                        + "\(line.prefix(80))")
            }
            let place = TopicPartition(topic: last[0], partition: partition)
            guard offsets.updateValue(offset, forKey: place) == nil else {
                throw failure("\(place) is there twice")
            }
        }
        guard !offsets.isEmpty else {
            throw CommandFailure("it names no partition of the group \(group)")
        }
        return offsets
    }

    /// A partition's line.
    static func line(_ partition: TopicPartition, _ offset: Offset) -> String {
        "\(partition.topic),\(partition.partition),\(offset)"
    }

    private static func unquoted(_ field: String) -> String {
        guard field.count >= 2, field.hasPrefix("\""), field.hasSuffix("\"") else { return field }
        return field.dropFirst().dropLast().replacingOccurrences(of: "\"\"", with: "\"")
    }
}
