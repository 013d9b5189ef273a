import Tally
import TallyClient

/// One partition on its way to a cluster: sends what is committed, in order, one batch at a time,
/// and sees at each that nobody else writes there. Used by one task.
///
/// The cluster gives the offsets. They follow from where the export began and from the number of
/// records since, as long as nobody else writes: so each answer tells whether that is so, and after
/// a crash the records behind what was noted are compared with what would come next.
struct PartitionExport {
    let id: TopicPartition
    let engine: Engine
    let cluster: ClusterClient
    let notebook: ExportNotebook
    /// For people.
    let target: String
    /// How large a batch becomes before compression, but for a record that is larger.
    var batchBytesMax = 256 << 10

    private var mark = ExportNotes.Mark(source: 0, target: 0)
    private var last: Offset?
    private let producer: ClusterClient.ProducerIdentity
    private var sequence: Int32 = 0

    init(
        _ id: TopicPartition, _ engine: Engine, _ cluster: ClusterClient,
        _ notebook: ExportNotebook, as producer: ClusterClient.ProducerIdentity, target: String
    ) {
        self.id = id
        self.producer = producer
        self.engine = engine
        self.cluster = cluster
        self.notebook = notebook
        self.target = target
    }

    /// Sends all there is.
    mutating func run() async throws {
        try await findPlace()
        var configuration = ConsumerConfiguration(committedFrom: Offset(mark.source))
        configuration.fetchBytesMax = 1 << 20
        let consumer = try engine.consumer(assigning: [id], configuration)
        for try await fetched in consumer {
            for batch in try encode(fetched) { try await send(batch) }
            // Behind markers too, which are nothing to be sent.
            mark.source = fetched.nextOffset.rawValue
            try await note()
        }
    }

    // MARK: Where to go on

    /// Finds out where to go on, and that the partition there is what was exported to it.
    private mutating func findPlace() async throws {
        let found = try engine.describePartition(id)
        if let problem = found.problem { throw CommandFailure("\(id): \(problem)") }
        let start = try await cluster.offsets(of: [id], at: .logStart)[id] ?? .zero
        let end = try await cluster.offsets(of: [id], at: .end)[id] ?? .zero
        guard let noted = await notebook.partition(id) else {
            guard start == end else {
                throw CommandFailure(
                    "\(id) has records in \(target) that were not exported from here: nothing is "
                        + "added to them. Delete the topic there, or use another cluster")
            }
            mark = ExportNotes.Mark(source: found.logStart.rawValue, target: end.rawValue)
            return try await notebook.begin(id, at: mark)
        }
        mark = noted.last
        last = noted.lastSource.map { Offset($0) }
        guard end.rawValue >= mark.target else {
            throw CommandFailure(
                "\(id) ends in \(target) at offset \(end), and records up to \(mark.target) were "
                    + "exported to it: it has lost some, or is another topic")
        }
        if found.logStart.rawValue > mark.source {
            Console.note(
                "\(id): offsets \(mark.source) to \(found.logStart.rawValue - 1) were retired here "
                    + "before they were exported.")
            mark.source = found.logStart.rawValue
        }
        try await requireSameLast(start, found.logStart)
        if end.rawValue > mark.target { try await takeOver(upTo: end) }
    }

    /// The last record that was exported must be what it was here.
    private func requireSameLast(_ start: Offset, _ sourceStart: Offset) async throws {
        guard let last, last >= sourceStart, start.rawValue < mark.target else { return }
        let behind = Offset(mark.target)
        var theirs = await TargetRecords(
            id, in: behind.advanced(by: -1)..<behind, of: cluster)
        var mine = try SourceRecords(id, from: last, in: engine)
        // Compaction may have taken it at either side.
        guard let there = try await theirs.next(), let here = try await mine.next(),
            here.offset == last
        else { return }
        guard there.isSame(as: here) else { throw foreign(at: there.offset) }
    }

    /// Records behind what was noted: sent by an export that was interrupted before it could note
    /// them, or by somebody else.
    private mutating func takeOver(upTo end: Offset) async throws {
        var theirs = await TargetRecords(id, in: Offset(mark.target)..<end, of: cluster)
        var mine = try SourceRecords(id, from: Offset(mark.source), in: engine)
        while mark.target < end.rawValue {
            try Task.checkCancellation()
            guard let there = try await theirs.next(), there.offset.rawValue == mark.target,
                let here = try await mine.next(), here.isSame(as: there)
            else { throw foreign(at: Offset(mark.target)) }
            mark = ExportNotes.Mark(
                source: here.offset.rawValue + 1, target: there.offset.rawValue + 1)
            last = here.offset
        }
        try await note()
    }

    private func foreign(at offset: Offset) -> CommandFailure {
        CommandFailure(
            "\(id): at offset \(offset) \(target) has something else than what is exported: "
                + "somebody else has written there. Nothing is added to it. Delete the topic "
                + "there to export it anew")
    }

    // MARK: Sending

    private struct OutgoingBatch {
        var bytes: [UInt8]
        var recordCount: Int
        var last: Offset
    }

    /// Batches of the records of a fetch, each with the codec that its records had. Their sequence
    /// numbers follow those that were used.
    private mutating func encode(_ fetched: ConsumedRecords) throws -> [OutgoingBatch] {
        var packer = try Packer(
            producer: producer, sequence: sequence, byteCountMax: batchBytesMax)
        var decoder = RecordDecoder()
        let start = fetched.startOffset
        var batches: [OutgoingBatch] = []
        try fetched.forEachBatch { batch in
            guard !batch.header.attributes.isControl else { return }
            try decoder.forEachRecord(in: batch) { record in
                guard record.offset >= start else { return }
                try packer.add(record, batch.header.codec) { batches.append($0) }
            }
        }
        try packer.finish { batches.append($0) }
        sequence = packer.sequence
        return batches
    }

    /// Makes batches of records.
    private struct Packer: ~Copyable {
        let producer: ClusterClient.ProducerIdentity
        var sequence: Int32
        let byteCountMax: Int
        var builder: RecordBatchBuilder
        var last = Offset.zero

        init(
            producer: ClusterClient.ProducerIdentity, sequence: Int32, byteCountMax: Int
        ) throws {
            self.producer = producer
            self.sequence = sequence
            self.byteCountMax = byteCountMax
            builder = try RecordBatchBuilder()
        }

        mutating func add(
            _ record: borrowing RecordView, _ codec: Codec, done: (OutgoingBatch) -> Void
        ) throws {
            let size = (record.key?.byteCount ?? 0) + (record.value?.byteCount ?? 0)
            if builder.codec != codec {
                try finish(done: done)
                builder = try RecordBatchBuilder(codec: codec)
            } else if builder.estimatedByteCount + size > byteCountMax {
                try finish(done: done)
            }
            try builder.append(copying: record)
            last = record.offset
        }

        mutating func finish(done: (OutgoingBatch) -> Void) throws {
            guard !builder.isEmpty else { return }
            var bytes: [UInt8] = []
            bytes.append(
                try builder.finish(
                    producer: BatchProducer(
                        id: producer.id, epoch: producer.epoch, baseSequence: sequence)))
            let count = builder.recordCount
            builder.reset()
            // Behind the largest number comes 0.
            sequence = Int32((Int64(sequence) + Int64(count)) & 0x7fff_ffff)
            done(OutgoingBatch(bytes: bytes, recordCount: count, last: last))
        }
    }

    private mutating func send(_ batch: OutgoingBatch) async throws {
        try Task.checkCancellation()
        let appended = try await cluster.append(batch.bytes, to: id)
        let behind = mark.target + Int64(batch.recordCount)
        if let offset = appended.baseOffset {
            guard offset.rawValue == mark.target else { throw foreign(at: Offset(mark.target)) }
        } else {
            // Known to be there, and not where.
            let end = try await cluster.offsets(of: [id], at: .end)[id] ?? .zero
            guard end.rawValue == behind else { throw foreign(at: Offset(mark.target)) }
        }
        mark = ExportNotes.Mark(source: batch.last.rawValue + 1, target: behind)
        last = batch.last
        await notebook.noteSent(records: batch.recordCount, bytes: batch.bytes.count)
        try await note()
    }

    private func note() async throws { try await notebook.note(id, mark, last: last) }
}
