import TallyLog
import TallyRecords

/// Reads one partition from a position on, and remembers where it is.
///
/// Used by one thread at a time.
final class ConsumeReader {
    let directory: PartitionDirectory
    private var snapshot: PartitionSnapshot
    private var position: Offset
    private var near: ReadPosition?
    private var decoder = RecordDecoder()
    /// For `read_committed`: transactions as far as batches were looked at.
    private var transactions = AbortedTransactions()
    private var surveyed: Offset
    private var surveyedNear: ReadPosition?

    /// Bytes read at a time.
    private static let readByteCount = 1 << 20

    /// - Parameter logStart: offsets before it were deleted.
    init(
        _ directory: PartitionDirectory, environment: LogEnvironment, logStart: Offset,
        from start: ConsumeStart
    ) throws {
        self.directory = directory
        snapshot = try PartitionSnapshot(
            opening: directory.path, environment: environment, logStart: logStart)
        surveyed = snapshot.logStart
        switch start {
        case .earliest: position = snapshot.logStart
        case .latest: position = snapshot.logEnd
        case .offset(let offset):
            guard offset >= snapshot.logStart, offset <= snapshot.logEnd else {
                throw CommandFailure(
                    "\(directory.name) holds offsets \(snapshot.logStart) to \(snapshot.logEnd) "
                        + "(exclusive); \(offset) is outside")
            }
            position = offset
        case .time(let time):
            position = try snapshot.offset(forTimestamp: time)?.offset ?? snapshot.logEnd
        }
    }

    /// Looks for new records. Records that went before they were read are told of and skipped.
    func refresh(_ streams: CommandStreams) throws {
        try snapshot.refresh()
        if position < snapshot.logStart {
            try streams.note(
                "note: \(directory.name): offsets \(position) to \(snapshot.logStart) (exclusive) "
                    + "were deleted before they were read")
            position = snapshot.logStart
        } else if position > snapshot.logEnd {
            try streams.note(
                "note: \(directory.name): the log was cut from offset \(position) to "
                    + "\(snapshot.logEnd); going on there")
            position = snapshot.logEnd
        }
        // What was cut may have told of transactions: begin anew.
        if surveyed > snapshot.logEnd {
            transactions = AbortedTransactions()
            surveyed = snapshot.logStart
        }
        surveyed = max(surveyed, snapshot.logStart)
    }

    /// Prints what lies between the position and the end of the snapshot.
    func printNew(to printer: ConsumePrinter, until isStopped: () -> Bool) throws {
        if printer.isolation == .readCommitted { try survey() }
        while !printer.isFull, !isStopped() {
            guard let slice = try slice(from: position, near, printer.streams) else { return }
            var end = slice.nextOffset
            try forEachBatch(in: slice) { batch, at in
                guard !printer.isFull, batch.header.lastOffset >= position else { return }
                // Beyond the last stable offset nothing is settled yet.
                if printer.isolation == .readCommitted,
                    batch.header.baseOffset >= transactions.lastStableOffset
                {
                    end = min(end, batch.header.baseOffset)
                    return
                }
                guard transactions.shows(batch.header, to: printer.isolation) else { return }
                try print(batch, at: at, of: slice, to: printer)
            }
            near = end == slice.nextOffset ? slice.end : nil
            guard end > position else { return }
            position = end
        }
    }

    /// Whole batches from an offset on; looks again where the files changed meanwhile.
    private func slice(
        from offset: Offset, _ near: ReadPosition?, _ streams: CommandStreams
    ) throws -> LogSlice? {
        do {
            return try snapshot.read(from: offset, bytesMax: Self.readByteCount, near: near)
        } catch  where error.isOfChangingFiles {
            self.near = nil
            try refresh(streams)
            return try snapshot.read(from: max(offset, position), bytesMax: Self.readByteCount)
        }
    }

    private func forEachBatch(
        in slice: LogSlice, _ visit: (borrowing RecordBatch, FilePosition) throws -> Void
    ) throws {
        let bytes = slice.content.all
        var at = 0
        while at < bytes.byteCount {
            let position = slice.position.advanced(by: at)
            do {
                let batch = try RecordBatch(bytes.part(at: at, count: bytes.byteCount - at))
                try batch.verifyChecksum()
                try visit(batch, position)
                at += batch.header.sizeInBytes
            } catch let error as RecordError {
                throw error.failure(in: slice.file, at: position)
            }
        }
    }

    private func print(
        _ batch: borrowing RecordBatch, at filePosition: FilePosition, of slice: LogSlice,
        to printer: ConsumePrinter
    ) throws {
        try decoder.forEachRecord(in: batch) { record in
            guard record.offset >= position, !printer.isFull else { return }
            try printer.print(record, of: directory)
        }
    }

    /// Notes the transactions of all batches up to the end of the snapshot.
    private func survey() throws {
        while surveyed < snapshot.logEnd {
            let read = try snapshot.read(
                from: surveyed, bytesMax: Self.readByteCount, near: surveyedNear)
            guard let read else { return }
            try forEachBatch(in: read) { batch, _ in
                transactions.note(batch.header, control: try decoder.controlRecord(of: batch))
            }
            surveyed = read.nextOffset
            surveyedNear = read.end
        }
    }
}
