/// One row as a record for the log: a view of buffers that the next row overwrites.
package struct ImportRow: ~Escapable {
    /// The key's bytes, UTF-8.
    package let key: RawSpan
    /// The value's bytes: the event as JSON.
    package let value: RawSpan
    /// When the event happened, in milliseconds since 1970; not negative.
    package let timestampMilliseconds: Int64
    /// The row's first line in the input, counted from 1.
    package let line: Int

    @_lifetime(copy key, copy value)
    init(key: RawSpan, value: RawSpan, timestampMilliseconds: Int64, line: Int) {
        self.key = key
        self.value = value
        self.timestampMilliseconds = timestampMilliseconds
        self.line = line
    }
}

/// Turns a table of comma-separated values into inventory events, row by row:
///
///     while let row = try rows.next() { try produce(row.key, row.value) }
///
/// Buffers are reused, so memory does not grow with the input. One thread at a time.
package struct ImportRows: ~Copyable {
    /// The columns of the table.
    package let header: CSVHeader
    /// Rows handed out so far.
    package private(set) var rowCount = 0
    /// Rows skipped so far.
    package private(set) var badRowCount = 0

    private var reader: CSVReader
    private let encoder: RowEncoder
    private let badRowPolicy: BadRowPolicy
    private var record = RowEncoder.Record()

    /// Reads the header and checks the options against it.
    ///
    /// - Throws: `ImportOptionError` when an option cannot work, `RowError` for a bad header row,
    ///   or what the source throws.
    package init(
        source: any ByteSource, options: ImportOptions, onBadRow badRowPolicy: BadRowPolicy = .stop
    ) throws {
        // What needs no input is checked before any is read: it may be a terminal.
        let event = try InventoryEventEncoder(
            type: InventoryEventType(named: options.eventType), reason: options.reason,
            channel: options.channel)
        let timeParser = try TimeParser(format: options.timeFormat)
        var reader = CSVReader(source: source)
        let header = try reader.readHeader()
        let encoder = try RowEncoder(
            options: options, header: header, event: event, timeParser: timeParser)
        self.header = header
        self.encoder = encoder
        self.reader = reader
        self.badRowPolicy = badRowPolicy
    }

    /// The next row; nil at the end of the input.
    ///
    /// - Throws: `RowError` for a bad row where the policy is to stop, after which the next call
    ///   goes on behind it; or what the source throws.
    @_lifetime(&self)
    package mutating func next() throws -> ImportRow? {
        guard try encodeNextRow() else { return nil }
        return ImportRow(
            key: record.key.span.bytes, value: record.value.span.bytes,
            timestampMilliseconds: record.timestampMilliseconds, line: reader.line)
    }

    /// Makes the record of the next good row; false at the end of the input.
    private mutating func encodeNextRow() throws -> Bool {
        while true {
            do {
                guard try reader.next() else { return false }
                try encoder.encode(reader, into: &record)
                rowCount += 1
                return true
            } catch let error as RowError {
                guard case .skip(let report) = badRowPolicy else { throw error }
                badRowCount += 1
                report(error)
            }
        }
    }
}
