/// Reads comma-separated values (RFC 4180) row by row, from a stream, in memory that does not grow
/// with it.
///
/// A field that begins with a quote ends with one; in between, commas, line ends and doubled quotes
/// are data. A quote anywhere else is an ordinary character. Rows end with LF or CRLF, the last one
/// may end with the input. Empty lines and a byte order mark are passed over.
///
/// A bad row is thrown as a `RowError` and the reader can go on after it: behind the row where its
/// end is certain, else at the line after the row's first, since a forgotten quote would otherwise
/// swallow the rest of the file.
///
/// One thread at a time. The scanner itself is in `CSVReader+Scan.swift`.
package struct CSVReader: ~Copyable {
    /// The fields of the current row as ranges of `buffer`, unquoted. Valid until `next()`.
    package internal(set) var fields: [Range<Int>] = []
    /// The bytes that `fields` speaks of; what lies outside of them means nothing.
    package internal(set) var buffer: [UInt8]
    /// The first line of the current row, or of the row last thrown; counted from 1.
    package internal(set) var line = 1

    /// How many fields each row must have; nil: any number.
    var fieldCount: Int?
    /// A row is longer than this when its end, line end included, is not among so many bytes.
    let rowBytesMax: Int

    // The state of the scan, which may pause anywhere when the buffered bytes end.
    var state = ScanState.fieldStart
    /// `buffer[rowStart..<position]` is scanned, `buffer[position..<filled]` waits.
    var rowStart = 0
    var position = 0
    var filled = 0
    var fieldStart = 0
    var fieldEnd = 0
    var fieldHasDoubledQuotes = false
    /// Indexes of the fields whose doubled quotes are still to be made single.
    var fieldsWithDoubledQuotes: [Int] = []
    /// The bits of all bytes of the row: above 0x7F there is more than ASCII.
    var bitsSeen: UInt8 = 0
    var lineFeedsInRow = 0
    /// What is wrong with the row although its end can be found.
    var flaw: RowErrorReason?

    private var source: any ByteSource
    private var sourceEnded = false
    private var atStart = true
    private var nextLine = 1
    /// The rest of a line that was longer than the buffer is still to be thrown away.
    private var isDiscardingLine = false

    /// - Parameters:
    ///   - rowBytesMax: how many bytes a row may have, with its line end: the bound on memory.
    ///   - bufferBytes: how many bytes to read at a time, at most.
    package init(
        source: any ByteSource, rowBytesMax: Int = 1 << 20, bufferBytes: Int = 256 << 10
    ) {
        precondition(rowBytesMax > 3 && bufferBytes > 3, "a byte order mark must fit")
        self.source = source
        self.rowBytesMax = rowBytesMax
        buffer = [UInt8](repeating: 0, count: bufferBytes)
    }

    /// Reads the first row as the names of the columns; every further row must have as many fields.
    package mutating func readHeader() throws -> CSVHeader {
        guard try next() else { throw ImportOptionError.noHeader }
        let header = try CSVHeader(
            columns: fields.map { String(decoding: buffer[$0], as: UTF8.self) })
        fieldCount = header.columns.count
        return header
    }

    /// Moves on to the next row; false at the end of the input.
    ///
    /// - Throws: `RowError`, after which the next call goes on behind the bad row, or what the
    ///   source throws.
    package mutating func next() throws -> Bool {
        if atStart {
            atStart = false
            try skipByteOrderMark()
        }
        if isDiscardingLine {
            try discardLine()
        }
        beginRow()
        while true {
            switch scan() {
            case .row:
                try endRow()
                return true
            case .emptyLine:
                nextLine += 1
                beginRow()
            case .failed(let reason):
                throw goOnAtNextLine(after: reason)
            case .bytesEnded:
                if try fill() { continue }
                switch finish() {
                case .row:
                    try endRow()
                    return true
                case .failed(let reason):
                    throw goOnAtNextLine(after: reason)
                case .emptyLine, .bytesEnded:
                    return false
                }
            }
        }
    }

    /// The bytes of one field of the current row.
    @_lifetime(borrow self)
    package func field(_ index: Int) -> Span<UInt8> {
        buffer.span.extracting(fields[index])
    }

    private mutating func beginRow() {
        rowStart = position
        line = nextLine
        fields.removeAll(keepingCapacity: true)
        fieldsWithDoubledQuotes.removeAll(keepingCapacity: true)
        state = .fieldStart
        bitsSeen = 0
        lineFeedsInRow = 0
        flaw = nil
    }

    /// Checks a row whose end was found, and makes its doubled quotes single.
    private mutating func endRow() throws(RowError) {
        guard position - rowStart <= rowBytesMax else {
            throw goOnAtNextLine(after: .rowTooLong(bytesMax: rowBytesMax))
        }
        nextLine = line + lineFeedsInRow
        if bitsSeen >= 0x80, flaw == nil, !isValidUTF8(rowStart..<position) {
            flaw = .invalidUTF8
        }
        if flaw == nil, let fieldCount, fields.count != fieldCount {
            flaw = .wrongFieldCount(expected: fieldCount, found: fields.count)
        }
        if let flaw {
            throw RowError(line: line, reason: flaw)
        }
        // Only now: a row that fails must still be in the buffer as it was.
        for index in fieldsWithDoubledQuotes {
            makeDoubledQuotesSingle(inField: index)
        }
    }

    private func isValidUTF8(_ range: Range<Int>) -> Bool {
        (try? UTF8Span(validating: buffer.span.extracting(range))) != nil
    }

    /// Gives up the row and makes the line after its first one the next to be read.
    private mutating func goOnAtNextLine(after reason: RowErrorReason) -> RowError {
        // A row over the limit is told alike however the input came in pieces.
        let isTooLong = position - rowStart > rowBytesMax
        nextLine = line + 1
        fields.removeAll(keepingCapacity: true)
        position = rowStart
        while position < filled, buffer[position] != UInt8(ascii: "\n") {
            position += 1
        }
        if position < filled {
            position += 1
        } else {
            isDiscardingLine = true
        }
        return RowError(line: line, reason: isTooLong ? .rowTooLong(bytesMax: rowBytesMax) : reason)
    }
}

// MARK: - Filling the buffer

extension CSVReader {
    /// Reads more behind what is buffered, keeping the current row; false at the end of the input.
    private mutating func fill() throws -> Bool {
        guard !sourceEnded else { return false }
        if filled - rowStart > rowBytesMax {
            throw goOnAtNextLine(after: .rowTooLong(bytesMax: rowBytesMax))
        }
        moveRowToFront()
        if filled == buffer.count {
            // One byte over the limit, so that a row over the limit shows.
            let grown = max(min(2 * buffer.count, rowBytesMax + 1), filled + 1)
            buffer.append(contentsOf: repeatElement(0, count: grown - buffer.count))
        }
        let count = try source.read(into: &buffer, from: filled)
        filled += count
        sourceEnded = count == 0
        return count > 0
    }

    private mutating func moveRowToFront() {
        let shift = rowStart
        guard shift > 0 else { return }
        for index in rowStart..<filled {
            buffer[index - shift] = buffer[index]
        }
        for index in fields.indices {
            fields[index] = fields[index].lowerBound - shift..<fields[index].upperBound - shift
        }
        rowStart = 0
        position -= shift
        filled -= shift
        fieldStart -= shift
        fieldEnd -= shift
    }

    private mutating func skipByteOrderMark() throws {
        while filled < 3, try fill() {}
        if filled >= 3, buffer[0] == 0xEF, buffer[1] == 0xBB, buffer[2] == 0xBF {
            position = 3
            rowStart = 3
        }
    }

    private mutating func discardLine() throws {
        repeat {
            while position < filled {
                position += 1
                if buffer[position - 1] == UInt8(ascii: "\n") {
                    isDiscardingLine = false
                    return
                }
            }
            rowStart = position
        } while try fill()
        isDiscardingLine = false
    }
}
