/// Where in a row the scan stands.
enum ScanState {
    /// Before the first byte of a field.
    case fieldStart
    /// In a field that did not begin with a quote.
    case plain
    /// Behind a carriage return that must belong to the line end.
    case carriageReturn
    /// In a quoted field.
    case quoted
    /// Behind a quote in a quoted field: its end, or the first of two.
    case quoteInQuoted
    /// Behind the carriage return that follows a closing quote.
    case carriageReturnAfterQuote
}

/// How far one pass over the buffered bytes came.
enum ScanOutcome {
    case row
    case emptyLine
    case bytesEnded
    case failed(RowErrorReason)
}

extension CSVReader {
    private static var comma: UInt8 { UInt8(ascii: ",") }
    private static var quote: UInt8 { UInt8(ascii: "\"") }
    private static var lineFeed: UInt8 { UInt8(ascii: "\n") }
    private static var carriageReturn: UInt8 { UInt8(ascii: "\r") }

    /// One bit for each byte that ends a run of ordinary ones in a plain field; all are below 64.
    private static var plainStops: UInt64 { 1 << 0x2C | 1 << 0x0A | 1 << 0x0D | 1 }

    /// Scans on from `position` until a row ends, something is wrong, or the buffered bytes end.
    mutating func scan() -> ScanOutcome {
        while position < filled {
            switch state {
            case .fieldStart:
                fieldHasDoubledQuotes = false
                if buffer[position] == Self.quote {
                    position += 1
                    state = .quoted
                } else {
                    state = .plain
                }
                fieldStart = position
            case .plain:
                if let outcome = scanPlain() { return outcome }
            case .quoted:
                scanQuoted()
            case .quoteInQuoted:
                if let outcome = scanAfterQuote() { return outcome }
            case .carriageReturn:
                guard buffer[position] == Self.lineFeed else {
                    // The row's end can still be found: it is a flaw, not the end of the scan.
                    noteFlaw(.carriageReturnWithoutLineFeed)
                    state = .plain
                    continue
                }
                position += 1
                return endLine(isEmpty: fields.isEmpty && fieldEnd == fieldStart)
            case .carriageReturnAfterQuote:
                guard buffer[position] == Self.lineFeed else {
                    return .failed(.carriageReturnWithoutLineFeed)
                }
                position += 1
                return endLine(isEmpty: false)
            }
        }
        return .bytesEnded
    }

    /// What the end of the input means for the row that the scan stands in.
    mutating func finish() -> ScanOutcome {
        switch state {
        case .fieldStart:
            guard !fields.isEmpty else { return .emptyLine }
            fieldStart = position
            fieldEnd = position
        case .plain:
            fieldEnd = position
        case .quoteInQuoted:
            break
        case .quoted:
            return .failed(.unclosedQuote)
        case .carriageReturn, .carriageReturnAfterQuote:
            return .failed(.carriageReturnWithoutLineFeed)
        }
        addField()
        return .row
    }

    /// Scans plain fields, as many as follow one another.
    ///
    /// This is where nearly all the time goes: it keeps the state of the scan in local variables.
    private mutating func scanPlain() -> ScanOutcome? {
        let end = filled
        var at = position
        var start = fieldStart
        var bits = bitsSeen
        defer {
            position = at
            fieldStart = start
            bitsSeen = bits
        }
        while at < end {
            let byte = buffer[at]
            at += 1
            if byte >= 64 || Self.plainStops & (1 << UInt64(byte)) == 0 {
                bits |= byte
                continue
            }
            switch byte {
            case Self.comma:
                fields.append(start..<at - 1)
                start = at
                if at == end || buffer[at] == Self.quote {
                    state = .fieldStart
                    return nil
                }
            case Self.lineFeed:
                lineFeedsInRow += 1
                if fields.isEmpty, start == at - 1 { return .emptyLine }
                fields.append(start..<at - 1)
                return .row
            case Self.carriageReturn:
                fieldEnd = at - 1
                state = .carriageReturn
                return nil
            default:
                noteFlaw(.nulByte)
            }
        }
        return nil
    }

    private mutating func scanQuoted() {
        let end = filled
        var at = position
        while at < end, buffer[at] != Self.quote {
            let byte = buffer[at]
            bitsSeen |= byte
            if byte == Self.lineFeed {
                lineFeedsInRow += 1
            } else if byte == 0 {
                noteFlaw(.nulByte)
            }
            at += 1
        }
        position = at
        if at < end {
            fieldEnd = at
            position += 1
            state = .quoteInQuoted
        }
    }

    private mutating func scanAfterQuote() -> ScanOutcome? {
        position += 1
        switch buffer[position - 1] {
        case Self.quote:
            fieldHasDoubledQuotes = true
            state = .quoted
        case Self.comma:
            addField()
            state = .fieldStart
        case Self.lineFeed:
            return endLine(isEmpty: false)
        case Self.carriageReturn:
            state = .carriageReturnAfterQuote
        default:
            return .failed(.textAfterClosingQuote)
        }
        return nil
    }

    private mutating func endLine(isEmpty: Bool) -> ScanOutcome {
        lineFeedsInRow += 1
        if isEmpty { return .emptyLine }
        addField()
        return .row
    }

    private mutating func addField() {
        if fieldHasDoubledQuotes {
            fieldsWithDoubledQuotes.append(fields.count)
            fieldHasDoubledQuotes = false
        }
        fields.append(fieldStart..<fieldEnd)
    }

    private mutating func noteFlaw(_ reason: RowErrorReason) {
        if flaw == nil {
            flaw = reason
        }
    }

    /// Moves the bytes of a field together, so that each pair of quotes becomes one.
    mutating func makeDoubledQuotesSingle(inField index: Int) {
        let range = fields[index]
        var target = range.lowerBound
        var source = range.lowerBound
        while source < range.upperBound {
            buffer[target] = buffer[source]
            source += buffer[source] == Self.quote ? 2 : 1
            target += 1
        }
        fields[index] = range.lowerBound..<target
    }
}
