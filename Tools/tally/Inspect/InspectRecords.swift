import TallyLog
import TallyRecords

/// `tally inspect --records`: one line a record, as a consumer of an isolation level gets it.
struct InspectRecords {
    private let target: InspectTarget
    private let streams: CommandStreams
    private let isJSON: Bool
    private let isolation: IsolationLevel

    init(
        _ target: InspectTarget, _ streams: CommandStreams, isJSON: Bool,
        _ isolation: IsolationLevel
    ) {
        self.target = target
        self.streams = streams
        self.isJSON = isJSON
        self.isolation = isolation
    }

    func run() throws -> Int32 {
        let walk = InspectWalk(target: target, streams: streams)
        var decoder = RecordDecoder()
        var line = JSONLine(isASCIIOnly: true)
        for part in target.parts {
            let snapshot = try PartitionSnapshot(
                opening: part.directory, environment: target.environment)
            let transactions = try transactions(of: part, in: snapshot, &decoder)
            try walk.forEachBatch(of: part, in: snapshot) { found, segment in
                guard transactions.shows(found.header, to: isolation) else { return }
                do {
                    let batch = try RecordBatch(found.bytes)
                    try batch.verifyChecksum()
                    try decoder.forEachRecord(in: batch) { record in
                        if isJSON {
                            try fill(&line, record, batch.header, part.label)
                            try streams.output.write(line.bytes)
                        } else {
                            try streams.output.write(line: try text(record, part.label))
                        }
                    }
                } catch let error as RecordError {
                    throw error.failure(in: segment.path, at: found.position)
                }
            }
        }
        return ExitCodes.success
    }

    /// Which transactions were aborted, where that matters. All of the partition tells: a
    /// transaction may begin and end in other segments.
    private func transactions(
        of part: InspectTarget.Part, in snapshot: PartitionSnapshot,
        _ decoder: inout RecordDecoder
    ) throws -> AbortedTransactions {
        var transactions = AbortedTransactions()
        guard isolation == .readCommitted else { return transactions }
        var whole = part
        whole.only = nil
        let silent = CommandStreams(output: Output(), errors: Output())
        try InspectWalk(target: target, streams: silent)
            .forEachBatch(of: whole, in: snapshot) { found, segment in
                do {
                    let batch = try RecordBatch(found.bytes)
                    transactions.note(
                        found.header, control: try decoder.controlRecord(of: batch))
                } catch let error as RecordError {
                    throw error.failure(in: segment.path, at: found.position)
                }
            }
        return transactions
    }

    private func fill(
        _ line: inout JSONLine, _ record: borrowing RecordView, _ header: RecordBatchHeader,
        _ label: PartitionDirectory?
    ) throws {
        line.begin()
        if let label {
            line.field("topic", label.topic)
            line.field("partition", label.partition)
        }
        line.field("offset", record.offset.rawValue)
        line.field("timestamp", record.timestamp.rawValue)
        line.field("timestampType", header.attributes.timestampType.description)
        line.name("key")
        line.base64(record.key)
        line.name("value")
        line.base64(record.value)
        line.name("headers")
        line.open("[")
        var headers = record.headers
        while let header = try headers.next() {
            line.open("[")
            line.string(header.key.text.text)
            line.base64(header.value)
            line.close("]")
        }
        line.close("]")
        line.end()
    }

    private func text(
        _ record: borrowing RecordView, _ label: PartitionDirectory?
    ) throws -> String {
        var text = label.map { "\($0.name)  " } ?? ""
        text += "\(record.offset)  \(OutputTime.text(record.timestamp))  "
        text += "\(Self.shown(record.key))  \(Self.shown(record.value))"
        var headers = record.headers
        while let header = try headers.next() {
            text += "  \(Self.shown(header.key)): \(Self.shown(header.value))"
        }
        return text
    }

    /// Bytes as a person can read them in a line: quoted text, shortened; other bytes as a count.
    static func shown(_ bytes: RawSpan?) -> String {
        guard let bytes else { return "null" }
        let (text, isExact) = bytes.text
        guard isExact else { return "<\(bytes.byteCount) bytes>" }
        let characters = text.unicodeScalars.prefix(shownCharactersMax)
        let escaped = characters.map { $0.escaped(asASCII: false) }.joined()
        let isShortened = characters.count < text.unicodeScalars.count
        return "\"\(escaped)\(isShortened ? "…" : "")\""
    }

    private static var shownCharactersMax: Int { 160 }
}
