import TallyFiles
import TallyRecords

extension LogVerifier {
    /// Names that belong into a partition directory besides those of segments.
    private static var knownNames: Set<String> {
        [LeaderEpochs.fileName, PartitionMetadata.fileName]
    }

    /// What a deletion, a cleaner or a replacement is at work on, or has left.
    private static var passingEndings: [String] { [".deleted", ".cleaned", ".tmp"] }

    /// Looks at the names of the directory's files.
    mutating func checkNames(_ names: [String], _ bases: [Offset]) {
        let known = Set(bases)
        for name in names where !Self.knownNames.contains(name) {
            let path = joinPath(directory, name)
            if let ending = SegmentName.Ending.allCases.first(where: {
                SegmentName.baseOffset(of: name, $0) != nil
            }) {
                let base = SegmentName.baseOffset(of: name, ending)
                // Snapshots of producer state are also taken at the end of the log.
                guard ending != .log, ending != .producerSnapshot, let base, !known.contains(base)
                else { continue }
                note(.mendable, path, "there is no segment \(SegmentName.file(base, .log))")
            } else if name.hasSuffix(".swap") {
                note(
                    .mendable, path,
                    "a log cleaner was interrupted while it put this file in place, or is at work")
            } else if Self.passingEndings.contains(where: name.hasSuffix) {
                note(.note, path, "left by something interrupted, or still in use by it")
            } else if name.contains(".log.cut-") {
                note(.note, path, "bytes that recovery cut off a log and kept")
            } else if SegmentName.Ending.allCases.contains(where: { name.hasSuffix($0.rawValue) }) {
                note(
                    .damage, path,
                    "no segment has such a name (20 digits and an ending): nothing reads this file")
            } else {
                note(.note, path, "not a file of a partition")
            }
        }
    }

    /// Looks at what is kept of producers: size, version and checksum.
    mutating func checkSnapshots(_ names: [String]) throws(LogError) {
        for offset in ProducerSnapshot.offsets(among: names) {
            let path = path(offset, .producerSnapshot)
            // A writer at work removes old ones.
            guard
                let bytes = try contents(of: path, byteCountMax: ProducerSnapshot.byteCountMax)
            else { continue }
            do throws(ProducerSnapshot.Malformed) {
                _ = try ProducerSnapshot.decode(bytes)
            } catch {
                note(.mendable, path, "no snapshot of producers: \(error)")
            }
        }
    }

    /// Holds `leader-epoch-checkpoint` against the epochs of the batches. Read after the batches:
    /// an epoch is noted there before its first batch is written.
    mutating func checkEpochs() throws(LogError) {
        let path = joinPath(directory, LeaderEpochs.fileName)
        let epochs: LeaderEpochs
        do throws(LogError) {
            epochs = try LeaderEpochs.read(from: directory, on: environment.fileSystem)
        } catch .corruption(let corruption) {
            note(.damage, path, at: corruption.position.rawValue, corruption.reason)
            return
        }
        report.leaderEpochs = epochs.entries
        if epochs.entries.isEmpty {
            guard let run = epochRuns.first else { return }
            note(
                .mendable, path,
                "the file is missing or empty, but offset \(run.first) has leader epoch "
                    + "\(run.epoch)")
            return
        }
        for run in epochRuns {
            let first = epochs.entries.lastIndex { $0.startOffset <= run.first }
            let last = epochs.entries.lastIndex { $0.startOffset <= run.last }
            for (index, offset) in [(first, run.first), (last, run.last)] {
                let said = index.map { epochs.entries[$0].epoch }
                guard said != run.epoch else { continue }
                note(
                    .damage, path, at: Self.position(of: index ?? 0, in: epochs.entries),
                    "offset \(offset) belongs to leader epoch \(said?.description ?? "none") by "
                        + "this file, but its batch has \(run.epoch) (epoch \(run.epoch) begins at "
                        + "byte \(run.position) of \(run.file))")
                break
            }
        }
        try checkEpochsEnd(epochs, path)
    }

    /// No epoch begins behind the log's end.
    private mutating func checkEpochsEnd(
        _ epochs: LeaderEpochs, _ path: String
    ) throws(LogError) {
        guard !progress.isIncomplete, let active = report.segments.last,
            let last = epochs.entries.last
        else { return }
        let end = max(progress.nextOffset ?? .zero, active.nextOffset)
        guard last.startOffset > end,
            // Unless a writer has gone on since the batches were looked at.
            try information(active.file)?.byteCount == Int64(active.byteCount)
        else { return }
        note(
            .damage, path, at: Self.position(of: epochs.entries.count - 1, in: epochs.entries),
            "leader epoch \(last.epoch) begins at offset \(last.startOffset), but the log ends at "
                + "\(end)")
    }

    /// Where the line of an entry begins: a version, a count, and a line for each.
    private static func position(of index: Int, in entries: [LeaderEpochs.Entry]) -> Int {
        entries[..<index].reduce("0\n\(entries.count)\n".utf8.count) { sum, entry in
            sum + "\(entry.epoch) \(entry.startOffset)\n".utf8.count
        }
    }

    mutating func checkMetadata() throws(LogError) {
        let path = joinPath(directory, PartitionMetadata.fileName)
        do throws(LogError) {
            guard
                try PartitionMetadata.read(from: directory, on: environment.fileSystem) == nil
            else { return }
            note(.note, path, "the file is missing: which topic this is cannot be told by its id")
        } catch .corruption(let corruption) {
            note(.damage, path, at: corruption.position.rawValue, corruption.reason)
        }
    }
}
