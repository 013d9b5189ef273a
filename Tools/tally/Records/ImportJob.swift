import Foundation
import Synchronization
import Tally
import TallyImport

/// Turns the rows of a table into records of a topic. Used by `tally import` and `tally demo`.
struct ImportJob: Sendable {
    var file: String
    var topic: String
    var partitions: Int?
    var settings: TopicConfiguration
    var options: ImportOptions
    var compression: Codec
    var isSkipping: Bool

    /// The input, in messages.
    private var name: String { file == "-" ? "standard input" : file }

    /// What an import did.
    struct Report: Sendable {
        var rows = 0
        var badRows = 0
        /// Bytes of keys and values.
        var recordBytes = 0
        var seconds = 0.0
        var createdTopic = false

        func print(topic: String) {
            let rate = Double(rows) / max(seconds, 0.001)
            Console.out(
                "Imported \(rows.grouped) rows into topic \(topic) in "
                    + "\(Format.fixed(seconds, 1)) s (\(Int(rate).grouped) rows/s).")
            if badRows > 0 { Console.out("Skipped \(badRows.grouped) bad rows.") }
        }
    }

    /// Reads the whole file once and checks every row, so that a bad one stops the import before
    /// anything is written. Returns the number of rows; nil where the input cannot be read twice
    /// or bad rows are skipped.
    func check() throws -> Int? {
        guard !isSkipping, file != "-" else { return nil }
        let input = try ByteInput(path: file)
        guard let fileBytes = input.fileBytes else { return nil }
        let bar = ProgressBar("checking ")
        defer { bar.finish() }
        var rows = try ImportRows(source: input, options: options)
        do {
            while try rows.next() != nil {
                if rows.rowCount & 0xFFF == 0 {
                    try Task.checkCancellation()
                    bar.update(input.fileBytesRead, of: fileBytes, unit: "bytes")
                }
            }
        } catch let error as RowError {
            throw ImportError.badRow(file: name, error: error, imported: 0)
        }
        return rows.rowCount
    }

    /// Imports the rows. On return they are as durable as the topic promises.
    func run(on engine: Engine, expectedRows: Int?) async throws -> Report {
        let start = ContinuousClock.now
        let input = try ByteInput(path: file)
        let skipped = Mutex(0)
        var rows = try ImportRows(
            source: input, options: options,
            onBadRow: isSkipping
                ? .skip { error in
                    skipped.withLock { $0 += 1 }
                    Console.note("Skipped \(name), \(error)")
                } : .stop)
        var report = Report()
        report.createdTopic = try await createTopicIfNeeded(engine)
        let before = try engine.describeTopic(topic)
        let isDeleting = before.configuration.value(of: .cleanupPolicy).contains("delete")
        let retention = isDeleting ? before.configuration.retentionMilliseconds : nil
        var configuration = ProducerConfiguration()
        configuration.compression = compression
        configuration.batchBytes = 64 << 10
        configuration.lingerMilliseconds = 20
        let producer = try engine.producer(configuration)
        let bar = ProgressBar("importing")
        defer { bar.finish() }
        do {
            while try send(&rows, to: producer, &report, retention) {
                try Task.checkCancellation()
                if let expectedRows {
                    bar.update(Int64(rows.rowCount), of: Int64(expectedRows), unit: "rows")
                } else if let fileBytes = input.fileBytes {
                    bar.update(input.fileBytesRead, of: fileBytes, unit: "bytes")
                }
                if producer.isFull { try await producer.waitForRoom() }
            }
            try await producer.flush()
        } catch let error as RowError {
            try await producer.flush()
            throw ImportError.badRow(file: name, error: error, imported: rows.rowCount)
        } catch is CancellationError {
            try await producer.flush()
            Console.note(
                "The first \(rows.rowCount.grouped) rows of \(name) are in topic \(topic).")
            throw CancellationError()
        } catch {
            try? await producer.flush()
            bar.finish()
            noteWhatStays(since: before, engine)
            throw error
        }
        report.rows = rows.rowCount
        report.badRows = rows.badRowCount
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        return report
    }

    /// Says how much of a failed import is in the topic: importing the file again repeats it.
    private func noteWhatStays(since before: TopicDescription, _ engine: Engine) {
        guard let after = try? engine.describeTopic(topic) else { return }
        let added = after.recordCount - before.recordCount
        Console.note("\(added.grouped) rows of \(name) are in topic \(topic).")
    }

    /// Hands some rows to the producer. Returns whether there may be more.
    private func send(
        _ rows: inout ImportRows, to producer: Producer, _ report: inout Report,
        _ retention: Int64?
    ) throws -> Bool {
        for _ in 0..<1024 {
            guard let row = try rows.next() else { return false }
            if report.recordBytes == 0 {
                warnAboutRetention(retention, first: row.timestampMilliseconds)
            }
            try producer.enqueue(
                topic: topic, key: row.key, value: row.value,
                timestamp: Timestamp(milliseconds: row.timestampMilliseconds))
            report.recordBytes += row.key.byteCount + row.value.byteCount
            if producer.isFull { return true }
        }
        return true
    }

    private func createTopicIfNeeded(_ engine: Engine) async throws -> Bool {
        let known = try engine.topics().first { $0.name == topic }
        if let known {
            if let partitions, partitions != known.partitions.count {
                Console.note(
                    "Topic \(topic) exists with \(known.partitions.count) partitions; "
                        + "--partitions \(partitions) does not change that.")
            }
            return false
        }
        try await engine.createTopic(topic, partitions: partitions ?? 1, configuration: settings)
        return true
    }

    /// History is older than what most topics keep.
    private func warnAboutRetention(_ retention: Int64?, first: Int64) {
        guard let retention, first < Timestamp.now.rawValue - retention else { return }
        let begin = OutputTime.text(Timestamp(milliseconds: first))
        Console.note(
            """
            Warning: these events begin at \(begin), but topic \(topic) keeps records \
            for \(Format.fixed(Double(retention) / 86_400_000, 1)) days \
            (retention.ms=\(retention)): retention will delete them. For history, create the topic \
            with --config retention.ms=-1.
            """)
    }
}

/// Why an import stopped.
enum ImportError: Error, CustomStringConvertible {
    case badRow(file: String, error: RowError, imported: Int)

    var description: String {
        switch self {
        case .badRow(let file, let error, let imported):
            let state =
                imported == 0
                ? "Nothing was imported."
                : "The \(imported.grouped) rows before it are in the topic."
            return "\(file), \(error). \(state) Mend the row, or use --on-error skip."
        }
    }
}
