import TallyFiles
package import TallyRecords

extension LogRepair {
    /// Does what a plan says, step by step; each is on stable storage before the next begins.
    ///
    /// - Parameters:
    ///   - loweringCheckpoints: makes no checkpoint of the data directory say more than an offset,
    ///     on stable storage.
    ///   - didApply: told of each step that is done, with the side file where one was made.
    /// Throws ``LogError``: the steps before are done; plan anew, and go on.
    package func apply(
        _ plan: RepairPlan, loweringCheckpoints: (Offset) throws(LogError) -> Void = { _ in },
        didApply: (RepairStep, _ keptIn: String?) -> Void = { _, _ in }
    ) throws(LogError) {
        invariant(plan.directory == directory, "a plan is for the directory it was made of")
        for step in plan.steps {
            if case .lowerCheckpoints(let offset) = step {
                try loweringCheckpoints(offset)
                didApply(step, nil)
            } else {
                didApply(step, try apply(step))
            }
        }
    }

    /// Returns the side file, where one was made.
    private func apply(_ step: RepairStep) throws(LogError) -> String? {
        switch step {
        case .lowerCheckpoints: break
        case .writeEpochs(let epochs, _): try epochs.write(to: directory, on: fileSystem)
        case .removeSnapshots(let offsets, _):
            try ProducerSnapshot.remove(offsets, in: directory, on: fileSystem)
            try syncDirectory()
        case .putAside(let base, _):
            guard let segment = try segment(at: base, writing) else { break }
            return try SideFile(of: segment, on: environment).takeAll().keptIn
        case .cut(let base, let position, _):
            let segment = try found(base, writing)
            return try SideFile(of: segment, on: environment).cut(at: position).keptIn
        case .rebuildIndexes(let base, _):
            let bytes = try found(base, environment).encodedIndexes()
            try replace(path(base, .offsetIndex), with: bytes.offsets)
            try replace(path(base, .timeIndex), with: bytes.times)
        case .rebuildTransactionIndex(let base, let end, _):
            try rebuildTransactionIndex(of: base, upTo: end)
        case .writeSnapshot(let offset, _):
            let producers = try producers(at: offset, in: try segments(upTo: offset))
            let bytes = ProducerSnapshot.encode(producers.producers.values)
            try replace(path(offset, .producerSnapshot), with: bytes)
        case .removeFile(let path):
            do {
                if try fileSystem.information(path) != nil { try fileSystem.remove(path) }
            } catch {
                throw .file(error)
            }
            try syncDirectory()
        }
        return nil
    }

    private func rebuildTransactionIndex(
        of base: Offset, upTo end: FilePosition?
    ) throws(LogError) {
        var upToHere = try segments(upTo: base.advanced(by: 1))
        guard var segment = upToHere.popLast(), segment.baseOffset == base else {
            throw vanished(base)
        }
        if let end { segment = segment.shortened(to: end) }
        let found = try ProducerStateLoader(
            directory: directory, environment: environment, segments: upToHere + [segment],
            limit: base
        ).load()
        try segment.setTransactionIndex(found.aborted(in: segment, upTo: Offset(.max)))
        try syncDirectory()
    }

    /// The segments that begin before an offset, as long as their files.
    private func segments(upTo offset: Offset) throws(LogError) -> [Segment] {
        let bases = SegmentName.baseOffsets(among: try list()).filter { $0 < offset }
        return try bases.map { base throws(LogError) in try found(base, environment) }
    }

    private func found(
        _ base: Offset, _ environment: LogEnvironment
    ) throws(LogError) -> Segment {
        guard let segment = try segment(at: base, environment) else { throw vanished(base) }
        return segment
    }

    private func vanished(_ base: Offset) -> LogError {
        .corruption(
            Corruption(
                file: path(base, .log), position: .start,
                reason: "the file has vanished since the plan was made"))
    }

    /// For segments whose files are cut or renamed.
    private var writing: LogEnvironment {
        LogEnvironment(fileSystem: fileSystem, openFilesMax: 16, readMode: .copied)
    }

    private func replace(_ path: String, with bytes: [UInt8]) throws(LogError) {
        do { try fileSystem.replace(path, with: bytes) } catch { throw .file(error) }
    }

    private func syncDirectory() throws(LogError) {
        do { try fileSystem.syncDirectory(directory) } catch { throw .file(error) }
    }
}
