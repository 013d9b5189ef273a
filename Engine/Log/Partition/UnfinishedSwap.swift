import TallyFiles
import TallyRecords

/// What a cleaner left that did not come to its end: finished where it was decided, removed where
/// it was not; after Kafka's `LogLoader`. Used by one thread, while a log is opened.
struct UnfinishedSwap {
    let directory: String
    let environment: LogEnvironment

    private var files: any FileSystem { environment.fileSystem }

    /// Brings the directory to where it is the old log or the new one.
    ///
    /// - Parameter names: the names in the directory.
    /// Throws ``LogError/corruption(_:)`` where a file that was decided is damaged; nothing is
    /// changed then.
    func finish(_ names: [String]) throws(LogError) {
        let swaps = bases(among: names, SegmentName.swapSuffix)
        if let first = swaps.first {
            let cleaned = bases(among: names, SegmentName.cleanedSuffix)
            if let least = cleaned.first, least < first {
                try requireOld(least, among: names)
                try discard(cleaned + swaps)
            } else {
                try putInPlace(swaps, among: names)
            }
        }
        try sweep()
    }

    /// The base offsets of log files with a suffix, rising.
    private func bases(among names: [String], _ suffix: String) -> [Offset] {
        SegmentName.baseOffsets(
            among: names.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) })
    }

    /// Throws unless there is something that what is removed was made of.
    private func requireOld(_ base: Offset, among names: [String]) throws(LogError) {
        let name = SegmentName.file(base, .log)
        guard !names.contains(name) else { return }
        throw .corruption(
            Corruption(
                file: joinPath(directory, name), position: .start,
                reason: "the file is missing, and what a log cleaner made of it is not complete"))
    }

    private func discard(_ bases: [Offset]) throws(LogError) {
        do {
            try SegmentSwap(directory: directory, fileSystem: files, bases: bases.sorted())
                .discard()
        } catch {
            throw .file(error)
        }
    }

    private func putInPlace(_ bases: [Offset], among names: [String]) throws(LogError) {
        var end = Offset.zero
        for base in bases { end = try checkedEnd(of: base) }
        // The new segments hold what these did.
        let old = SegmentName.baseOffsets(among: names).filter {
            $0 >= bases[0] && $0 < end && !bases.contains($0)
        }
        do {
            // Decided on stable storage before anything of the old segments goes.
            try files.syncDirectory(directory)
            for base in old.reversed() {
                for ending in SegmentName.Ending.allCases {
                    try files.removeIfThere(joinPath(directory, SegmentName.file(base, ending)))
                }
            }
            for offset in ProducerSnapshot.offsets(among: names) where offset < end {
                try files.removeIfThere(ProducerSnapshot.path(directory, offset))
            }
            try files.syncDirectory(directory)
            try SegmentSwap(directory: directory, fileSystem: files, bases: bases).putInPlace()
        } catch {
            throw .file(error)
        }
        environment.report(
            .finishedCleaning(partition: lastPathComponent(directory), from: bases[0], to: end))
    }

    /// The offset behind a file's last batch; each batch is checked.
    private func checkedEnd(of base: Offset) throws(LogError) -> Offset {
        let path = joinPath(directory, SegmentName.file(base, .log) + SegmentName.swapSuffix)
        let byteCount: Int
        do {
            byteCount = Int(try files.information(path)?.byteCount ?? 0)
        } catch {
            throw .file(error)
        }
        let segment = Segment(
            baseOffset: base, directory: directory, environment: environment, byteCount: byteCount,
            byteCountMax: byteCount, indexIntervalBytes: 4096, suffix: SegmentName.swapSuffix)
        defer { segment.abandonFiles() }
        let scanned = try segment.scan(to: FilePosition(byteCount), expecting: base) { _, _, _ in }
        if let damage = scanned.damage {
            throw segment.corruption(
                at: scanned.position.rawValue,
                "\(damage); a log cleaner had finished this file and was about to put it in place")
        }
        return scanned.nextOffset
    }

    /// Removes side files of what was never decided, or was decided and is in place.
    private func sweep() throws(LogError) {
        do {
            for name in try files.list(directory)
            where name.hasSuffix(SegmentName.swapSuffix)
                || name.hasSuffix(SegmentName.cleanedSuffix)
            {
                try files.removeIfThere(joinPath(directory, name))
            }
        } catch {
            throw .file(error)
        }
    }
}
