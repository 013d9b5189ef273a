import TallyLog
import TallyRecords

/// `tally inspect --batches`: one line a batch, as Kafka's own log dump reports it.
struct InspectBatches {
    private let target: InspectTarget
    private let streams: CommandStreams
    private let isJSON: Bool

    init(_ target: InspectTarget, _ streams: CommandStreams, isJSON: Bool) {
        self.target = target
        self.streams = streams
        self.isJSON = isJSON
    }

    func run() throws -> Int32 {
        var line = JSONLine(isASCIIOnly: true)
        var table = OutputTable([
            .text("FILE"), .number("POSITION"), .number("BYTES"), .number("FIRST OFFSET"),
            .number("LAST OFFSET"), .number("RECORDS"), .text("LATEST TIME"), .text("CODEC"),
            .number("EPOCH"), .number("PRODUCER"), .text("KIND"),
        ])
        let walk = InspectWalk(target: target, streams: streams)
        for part in target.parts {
            let snapshot = try PartitionSnapshot(
                opening: part.directory, environment: target.environment)
            try walk.forEachBatch(of: part, in: snapshot) { batch, segment in
                let name = SegmentName.file(segment.baseOffset, .log)
                let file = part.label.map { joinPath($0.name, name) } ?? name
                let isValid = Self.isValid(batch)
                if isJSON {
                    Self.fill(&line, batch, file, isValid: isValid)
                    try streams.output.write(line.bytes)
                } else {
                    try table.add(Self.cells(batch, file, isValid: isValid), to: streams.output)
                }
            }
        }
        try table.flush(to: streams.output)
        return ExitCodes.success
    }

    private static func isValid(_ batch: BatchHandle) -> Bool {
        do throws(RecordError) {
            try RecordBatch(batch.bytes).verifyChecksum()
            return true
        } catch {
            return false
        }
    }

    private static func fill(
        _ line: inout JSONLine, _ batch: BatchHandle, _ file: String, isValid: Bool
    ) {
        let header = batch.header
        let horizon = header.deleteHorizon
        line.begin()
        line.field("file", file)
        line.field("baseOffset", header.baseOffset.rawValue)
        line.field("lastOffset", header.lastOffset.rawValue)
        line.field("count", header.recordCount)
        line.field("baseSequence", header.baseSequence)
        line.field("lastSequence", header.lastSequence)
        line.field("producerId", header.producerID)
        line.field("producerEpoch", header.producerEpoch)
        line.field("partitionLeaderEpoch", header.partitionLeaderEpoch.rawValue)
        line.field("isTransactional", header.attributes.isTransactional)
        line.field("isControl", header.attributes.isControl)
        line.field(
            "deleteHorizonMs", horizon.map { "OptionalLong[\($0)]" } ?? "OptionalLong.empty")
        line.field("position", batch.position.rawValue)
        switch header.attributes.timestampType {
        case .createTime: line.field("CreateTime", header.maxTimestamp.rawValue)
        case .logAppendTime: line.field("LogAppendTime", header.maxTimestamp.rawValue)
        }
        line.field("size", header.sizeInBytes)
        line.field("magic", header.magic)
        line.field("compresscodec", header.codec.description)
        line.field("crc", header.checksum)
        line.field("isvalid", isValid)
        line.end()
    }

    private static func cells(
        _ batch: BatchHandle, _ file: String, isValid: Bool
    ) -> [String] {
        let header = batch.header
        var kind: [String] = []
        if header.attributes.isControl {
            kind.append("control")
        } else if header.attributes.isTransactional {
            kind.append("transactional")
        }
        if let horizon = header.deleteHorizon {
            kind.append("delete horizon \(OutputTime.text(horizon))")
        }
        if header.attributes.timestampType == .logAppendTime { kind.append("append time") }
        if !isValid { kind.append("WRONG CHECKSUM") }
        return [
            file, String(batch.position.rawValue), String(header.sizeInBytes),
            header.baseOffset.description, header.lastOffset.description,
            String(header.recordCount), OutputTime.text(header.maxTimestamp),
            header.codec.description, header.partitionLeaderEpoch.description,
            header.producerID < 0 ? "-" : "\(header.producerID)/\(header.producerEpoch)",
            kind.joined(separator: ", "),
        ]
    }
}
