import TallyFiles
import TallyRecords

/// Finds out what a partition knows of its producers: from the newest sound snapshot, and the
/// batches behind it. Used by one thread, once.
struct ProducerStateLoader {
    let directory: String
    let environment: LogEnvironment
    /// Rising, never empty; walked up to what is published.
    let segments: [Segment]
    /// Snapshots behind it are not used.
    let limit: Offset

    /// What was found.
    struct Found {
        var states: ProducerStates
        /// Everything before it comes from a snapshot.
        var snapshotOffset: Offset
        /// Aborted transactions whose markers lie behind the snapshot, rising.
        var aborted: [AbortedTransaction] = []
    }

    /// Throws ``LogError/corruption(_:)`` where a batch on the way is damaged.
    func load() throws(LogError) -> Found {
        var found = try newestSnapshot()
        let first = segments.lastIndex { $0.baseOffset <= found.snapshotOffset } ?? 0
        for segment in segments[first...] {
            try replay(segment, into: &found)
        }
        return found
    }

    private func newestSnapshot() throws(LogError) -> Found {
        let files = environment.fileSystem
        let logStart = segments[0].baseOffset
        do {
            let offsets = ProducerSnapshot.offsets(among: try files.list(directory))
            for offset in offsets.reversed() where offset <= limit && offset >= logStart {
                guard let producers = try ProducerSnapshot.read(directory, at: offset, on: files)
                else { continue }
                return Found(
                    states: ProducerStates(producers, nextOffset: offset), snapshotOffset: offset)
            }
        } catch {
            throw .file(error)
        }
        return Found(states: ProducerStates(nextOffset: logStart), snapshotOffset: logStart)
    }

    private func replay(_ segment: Segment, into found: inout Found) throws(LogError) {
        let limit = FilePosition(segment.byteCount)
        var start = FilePosition.start
        if segment.baseOffset < found.snapshotOffset {
            let first = try segment.batch(reaching: found.snapshotOffset, end: limit)
            start = first?.position ?? limit
        }
        var state = found
        var decoder = RecordDecoder()
        let scanned = try segment.scan(
            from: start, to: limit, expecting: segment.baseOffset, checkingSums: false
        ) { (header, position, bytes) throws(LogError) in
            guard header.baseOffset >= state.snapshotOffset else { return }
            let control: ControlRecord?
            do throws(RecordError) {
                control = try decoder.controlRecord(of: try RecordBatch(bytes))
            } catch {
                throw segment.corruption(at: position.rawValue, "\(error)")
            }
            let completed = state.states.note(header, control: control)
            if let completed, !completed.didCommit {
                state.aborted.append(state.states.aborted(completed))
            }
        }
        if let damage = scanned.damage {
            throw segment.corruption(at: scanned.position.rawValue, damage)
        }
        found = state
    }
}

extension ProducerStateLoader.Found {
    /// The aborted transactions behind the snapshot whose markers lie in a segment.
    func aborted(in segment: Segment, upTo nextBase: Offset) -> [AbortedTransaction] {
        aborted.filter { $0.lastOffset >= segment.baseOffset && $0.lastOffset < nextBase }
    }
}
