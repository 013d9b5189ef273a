/// The options of an import with their columns found: makes a record out of a row. A value.
struct RowEncoder: Sendable {
    /// The buffers for a record, to be used for one row after the other.
    struct Record {
        var key: [UInt8] = []
        var value: [UInt8] = []
        /// When it happened, in milliseconds since 1970; not negative.
        var timestampMilliseconds: Int64 = 0
        fileprivate var time: [UInt8] = []
        fileprivate var eventID: [UInt8] = []
    }

    private let key: FieldTemplate
    private let delta: DeltaExpression
    private let time: FieldTemplate
    private let timeParser: TimeParser
    private let eventID: FieldTemplate?
    private let event: InventoryEventEncoder

    init(
        options: ImportOptions, header: CSVHeader, event: InventoryEventEncoder,
        timeParser: TimeParser
    ) throws(ImportOptionError) {
        key = try FieldTemplate(options.key, header: header)
        delta = try DeltaExpression(options.delta, header: header)
        time = try FieldTemplate(options.time, header: header)
        if let text = options.eventID {
            eventID = try FieldTemplate(text, header: header)
        } else {
            eventID = nil
        }
        self.timeParser = timeParser
        self.event = event
    }

    /// Makes the record of the reader's current row.
    func encode(_ row: borrowing CSVReader, into record: inout Record) throws(RowError) {
        do throws(RowErrorReason) {
            let quantity = try delta.value(row)
            record.time.removeAll(keepingCapacity: true)
            time.render(row, into: &record.time)
            let milliseconds = try timeParser.milliseconds(record.time.span)
            guard milliseconds >= 0 else {
                throw .timeBefore1970(quotation(of: record.time.span))
            }
            record.timestampMilliseconds = milliseconds
            record.key.removeAll(keepingCapacity: true)
            key.render(row, into: &record.key)
            record.eventID.removeAll(keepingCapacity: true)
            eventID?.render(row, into: &record.eventID)
            record.value.removeAll(keepingCapacity: true)
            event.encode(
                quantity: quantity, recordedAtMilliseconds: milliseconds,
                eventID: eventID == nil ? nil : record.eventID, into: &record.value)
        } catch {
            throw RowError(line: row.line, reason: error)
        }
    }
}
