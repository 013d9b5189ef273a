import TallyLog
import TallyRecords

/// Prints records one after the other, and counts them. Used by one thread at a time.
final class ConsumePrinter {
    let streams: CommandStreams
    let isolation: IsolationLevel
    private let isJSON: Bool
    private let encoding: ConsumeEncoding
    private var left: Int?
    private var line = JSONLine(isASCIIOnly: false)
    private var hasInexactText = false

    /// - Parameter max: records to print at most; nil for all.
    init(
        _ streams: CommandStreams, isJSON: Bool, _ encoding: ConsumeEncoding,
        _ isolation: IsolationLevel, max: Int?
    ) {
        self.streams = streams
        self.isJSON = isJSON
        self.encoding = encoding
        self.isolation = isolation
        left = max
    }

    /// Whether as many records were printed as were asked for.
    var isFull: Bool { left == 0 }

    func print(_ record: borrowing RecordView, of directory: PartitionDirectory) throws {
        if isJSON {
            try fill(record, directory)
            try streams.output.write(line.bytes)
        } else {
            try streams.output.write(line: try text(record, directory))
        }
        left = left.map { $0 - 1 }
    }

    /// Tells of text that could not be shown as it is.
    func finish() throws {
        guard hasInexactText else { return }
        try streams.note(
            "note: some keys or values are not UTF-8; U+FFFD stands for what is not. Use "
                + "--encoding base64 to get the exact bytes.")
        hasInexactText = false
    }

    private func fill(
        _ record: borrowing RecordView, _ directory: PartitionDirectory
    ) throws {
        line.begin()
        line.field("topic", directory.topic)
        line.field("partition", directory.partition)
        line.field("offset", record.offset.rawValue)
        line.field("timestamp", record.timestamp.rawValue)
        line.name("key")
        add(record.key)
        line.name("value")
        add(record.value)
        line.name("headers")
        line.open("[")
        var headers = record.headers
        while let header = try headers.next() {
            line.open("[")
            line.string(shown(header.key))
            add(header.value)
            line.close("]")
        }
        line.close("]")
        line.end()
    }

    private func add(_ bytes: RawSpan?) {
        guard let bytes else { return line.null() }
        switch encoding {
        case .utf8: line.string(shown(bytes))
        case .base64: line.base64(bytes)
        }
    }

    private func shown(_ bytes: RawSpan) -> String {
        let (text, isExact) = bytes.text
        if !isExact { hasInexactText = true }
        return text
    }

    /// Partition, offset, time, key and value, with tabs between them.
    private func text(
        _ record: borrowing RecordView, _ directory: PartitionDirectory
    ) throws -> String {
        var fields = [
            String(directory.partition), record.offset.description,
            OutputTime.text(record.timestamp), field(record.key), field(record.value),
        ]
        var headers = record.headers
        while let header = try headers.next() {
            fields.append("\(field(header.key))=\(field(header.value))")
        }
        return fields.joined(separator: "\t")
    }

    private func field(_ bytes: RawSpan?) -> String {
        guard let bytes else { return "null" }
        guard encoding == .utf8 else {
            var quoted = JSONLine(isASCIIOnly: true)
            quoted.base64(bytes)
            return String(decoding: quoted.bytes.dropFirst().dropLast(), as: UTF8.self)
        }
        // Tabs and line ends would break the columns.
        return shown(bytes).unicodeScalars.map { scalar in
            scalar.value < 0x20 ? scalar.escaped(asASCII: false) : String(scalar)
        }.joined()
    }
}
