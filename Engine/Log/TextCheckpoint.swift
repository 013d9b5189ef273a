package import TallyFiles
package import TallyRecords

/// Kafka's text checkpoint format: a version (0), a count, and that many lines of fields.
///
/// Written whole to a temporary file, synced, renamed, and the directory synced, so that a crash
/// leaves the old or the new content.
package enum TextCheckpoint {
    /// Larger files are not read: 4,000 partitions with long topic names take about 1 MiB.
    private static let byteCountMax = 64 << 20

    /// The fields of each line; nil when the file is absent.
    ///
    /// Throws ``LogError/corruption(_:)`` with the line that is wrong.
    package static func read(
        _ path: String, fieldCount: Int, from fileSystem: any FileSystem
    ) throws(LogError) -> [[Substring]]? {
        let bytes: [UInt8]?
        do {
            bytes = try fileSystem.readWhole(path, byteCountMax: byteCountMax)
        } catch {
            throw .file(error)
        }
        guard let bytes else { return nil }
        return try parse(bytes, of: path, fieldCount: fieldCount)
    }

    static func parse(
        _ bytes: [UInt8], of path: String, fieldCount: Int
    ) throws(LogError) -> [[Substring]] {
        func damaged(_ position: Int, _ reason: String) -> LogError {
            .corruption(
                Corruption(file: path, position: FilePosition(position), reason: reason))
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.first == "0" else { throw damaged(0, "the first line is not version 0") }
        guard lines.count >= 2, let count = Int(lines[1]), count >= 0 else {
            throw damaged(2, "the second line is not a number of entries")
        }
        let entries = lines.dropFirst(2).prefix { !$0.isEmpty }
        guard entries.count == count else {
            throw damaged(2, "\(count) entries were announced and \(entries.count) found")
        }
        return try entries.map { line throws(LogError) in
            let fields = line.split(separator: " ", omittingEmptySubsequences: false)
            guard fields.count == fieldCount else {
                throw damaged(
                    text.utf8.distance(from: text.startIndex, to: line.startIndex),
                    "the line \"\(line)\" does not have \(fieldCount) fields")
            }
            return fields
        }
    }

    /// Replaces the file.
    package static func write(
        _ lines: [String], to path: String, on fileSystem: any FileSystem
    ) throws(LogError) {
        let text = "0\n\(lines.count)\n" + lines.map { $0 + "\n" }.joined()
        do {
            try fileSystem.replace(path, with: Array(text.utf8))
        } catch {
            throw .file(error)
        }
    }
}

/// One of Kafka's four checkpoint files of a data directory: an offset per partition.
package enum OffsetCheckpoint {
    /// The names Kafka gives them.
    package enum Name: String, CaseIterable, Sendable {
        case recoveryPoint = "recovery-point-offset-checkpoint"
        case highWatermark = "replication-offset-checkpoint"
        case logStart = "log-start-offset-checkpoint"
        case cleaner = "cleaner-offset-checkpoint"
    }

    /// Offsets by partition directory name (`topic-0`); empty when the file is absent.
    package static func read(
        _ name: Name, in directory: String, from fileSystem: any FileSystem
    ) throws(LogError) -> [String: Offset] {
        let path = joinPath(directory, name.rawValue)
        let lines = try TextCheckpoint.read(path, fieldCount: 3, from: fileSystem) ?? []
        var offsets: [String: Offset] = [:]
        for fields in lines {
            guard let partition = Int32(fields[1]), partition >= 0,
                let offset = Int64(fields[2]), offset >= 0
            else {
                throw .corruption(
                    Corruption(
                        file: path, position: .start,
                        reason: "\"\(fields.joined(separator: " "))\" is no topic, partition "
                            + "and offset"
                    ))
            }
            offsets["\(fields[0])-\(partition)"] = Offset(offset)
        }
        return offsets
    }

    /// Replaces the file. Partitions are (topic, partition, offset).
    package static func write(
        _ offsets: [(topic: String, partition: Int32, offset: Offset)], _ name: Name,
        in directory: String, on fileSystem: any FileSystem
    ) throws(LogError) {
        try TextCheckpoint.write(
            offsets.map { "\($0.topic) \($0.partition) \($0.offset)" },
            to: joinPath(directory, name.rawValue), on: fileSystem)
    }

    /// Makes no checkpoint of a data directory say more of a partition than an offset, on stable
    /// storage. The recovery point comes last: with it the next opening ends the log there.
    ///
    /// - Parameter partition: as its directory is named.
    package static func lower(
        _ partition: String, to offset: Offset, in directory: String,
        on fileSystem: any FileSystem
    ) throws(LogError) {
        for name in [Name.cleaner, .logStart, .highWatermark, .recoveryPoint] {
            var offsets = try read(name, in: directory, from: fileSystem)
            guard let old = offsets[partition], old > offset else { continue }
            offsets[partition] = offset
            try TextCheckpoint.write(
                offsets.sorted { $0.key < $1.key }.map { key, value in
                    // A topic, a dash and a number, as they were read.
                    let dash = key.lastIndex(of: "-") ?? key.startIndex
                    return "\(key[..<dash]) \(key[dash...].dropFirst()) \(value)"
                }, to: joinPath(directory, name.rawValue), on: fileSystem)
        }
    }
}
