import Synchronization
import TallyFiles
package import TallyRecords

/// Where a walk over a segment's batches ended, and why.
package struct ScanEnd: Sendable {
    /// The position behind the last sound batch.
    package var position: FilePosition
    /// The offset that follows the last sound batch.
    package var nextOffset: Offset
    /// Batches walked over.
    package var batchCount = 0
    /// Whether the visitor ended it.
    package var isStopped = false
    /// What is wrong at ``position``; nil at the sound end of the file.
    package var damage: String?
}

/// What a visitor of batches wants next.
package enum ScanStep: Sendable {
    case goOn
    case stop
}

extension Segment {
    /// Walks over the batches from `start` to `end`, checking each whole batch, until the end or
    /// the first damage.
    ///
    /// - Parameters:
    ///   - nextOffset: the least base offset the first batch may have.
    ///   - isCheckingSums: whether the CRC of each batch is computed.
    ///   - visit: gets each sound batch's header, position and bytes.
    /// Throws ``LogError/file(_:)`` when the disk cannot read; damage is a result and no error.
    package func scan(
        from start: FilePosition = .start, to end: FilePosition, expecting nextOffset: Offset,
        checkingSums isCheckingSums: Bool = true,
        visit: (RecordBatchHeader, FilePosition, RawSpan) throws(LogError) -> Void
    ) throws(LogError) -> ScanEnd {
        try walk(
            from: start, to: end, expecting: nextOffset, checkingSums: isCheckingSums
        ) { (header, position, bytes) throws(LogError) -> ScanStep in
            try visit(header, position, bytes)
            return .goOn
        }
    }

    /// As ``scan(from:to:expecting:checkingSums:visit:)``, for a visitor that may end the walk; it
    /// ends behind the batch that was visited.
    package func walk(
        from start: FilePosition = .start, to end: FilePosition, expecting nextOffset: Offset,
        checkingSums isCheckingSums: Bool = true,
        visit: (RecordBatchHeader, FilePosition, RawSpan) throws(LogError) -> ScanStep
    ) throws(LogError) -> ScanEnd {
        var state = ScanEnd(position: start, nextOffset: nextOffset)
        var window = ScanWindow()
        var wanted = ScanWindow.byteCount
        while state.position < end {
            let from = state.position.rawValue
            try window.load(from..<min(from + wanted, end.rawValue), of: self)
            let missing = try scan(
                window, end: end, checkingSums: isCheckingSums, &state, visit)
            if state.damage != nil || state.isStopped { break }
            // A batch larger than the window: load all of it next time.
            wanted = max(ScanWindow.byteCount, missing)
        }
        return state
    }

    /// Walks over the batches that lie wholly in the window. Returns the size of the batch that
    /// does not, or 0.
    private func scan(
        _ window: borrowing ScanWindow, end: FilePosition, checkingSums isCheckingSums: Bool,
        _ state: inout ScanEnd,
        _ visit: (RecordBatchHeader, FilePosition, RawSpan) throws(LogError) -> ScanStep
    ) throws(LogError) -> Int {
        let bytes = window.bytes
        let start = window.range.lowerBound
        while state.position.rawValue < window.range.upperBound {
            let at = state.position.rawValue - start
            let available = bytes.byteCount - at
            let isLastWindow = window.range.upperBound == end.rawValue
            if available < RecordBatchHeader.byteCount {
                if isLastWindow { state.damage = "\(available) bytes are no whole batch header" }
                return RecordBatchHeader.byteCount
            }
            do {
                let header = try RecordBatchHeader(decoding: bytes, at: at)
                if header.sizeInBytes > available, !isLastWindow,
                    header.sizeInBytes <= end.rawValue - state.position.rawValue
                {
                    return header.sizeInBytes
                }
                let batch = try RecordBatch(bytes, at: at)
                if isCheckingSums { try batch.verifyChecksum() }
                if let damage = misplacement(of: header, expecting: state.nextOffset) {
                    state.damage = damage
                    return 0
                }
                let step = try visitChecked(batch, header, state.position, visit)
                state.nextOffset = header.nextOffset
                state.position = state.position.advanced(by: header.sizeInBytes)
                state.batchCount += 1
                if step == .stop {
                    state.isStopped = true
                    return 0
                }
            } catch let error as RecordError {
                state.damage = "\(error)"
                return 0
            } catch let error as LogError {
                throw error
            } catch {
                invariantFailure("an error of an unknown kind: \(error)")
            }
        }
        return 0
    }

    /// What is wrong with a batch's offsets where it lies; nil when nothing is.
    private func misplacement(
        of header: RecordBatchHeader, expecting nextOffset: Offset
    ) -> String? {
        if header.baseOffset < nextOffset {
            return """
                the batch has base offset \(header.baseOffset), but \(nextOffset) or more must \
                follow
                """
        }
        if header.lastOffset.rawValue - baseOffset.rawValue > Int64(Int32.max) {
            return "the batch reaches offset \(header.lastOffset), too far for this segment"
        }
        return nil
    }

    private func visitChecked(
        _ batch: borrowing RecordBatch, _ header: RecordBatchHeader, _ position: FilePosition,
        _ visit: (RecordBatchHeader, FilePosition, RawSpan) throws(LogError) -> ScanStep
    ) throws(LogError) -> ScanStep {
        try visit(header, position, batch.bytes)
    }
}
