import TallyFiles
import TallyRecords

/// How cleaned segments take the place of others, with file names alone; after Kafka's
/// `LocalLog.replaceSegments`.
///
/// ```
/// .cleaned          being written, or complete: an opening removes it
///     ↓             side files first, then logs from the last to the first
/// .swap             once the first log has this name, the swap happens, now or at the next opening
///     ↓             the old segments are gone by then
/// (no suffix)       in place: side files first, then logs from the first to the last
/// ```
///
/// Between two steps whose order matters the directory is synced. A value; used by one thread.
struct SegmentSwap {
    let directory: String
    let fileSystem: any FileSystem
    /// The base offsets of the new segments, rising.
    let bases: [Offset]

    private static let sideEndings: [SegmentName.Ending] = [
        .offsetIndex, .timeIndex, .transactionIndex,
    ]

    /// The base offsets of all files among names that a cleaner has not put in place, rising.
    static func bases(among names: [String]) -> [Offset] {
        let suffixes = [SegmentName.cleanedSuffix, SegmentName.swapSuffix]
        let bases = names.compactMap { name -> Offset? in
            guard let suffix = suffixes.first(where: { name.hasSuffix($0) }) else { return nil }
            let plain = String(name.dropLast(suffix.count))
            return (sideEndings + [.log]).lazy
                .compactMap { SegmentName.baseOffset(of: plain, $0) }.first
        }
        return Set(bases).sorted()
    }

    private func path(_ base: Offset, _ ending: SegmentName.Ending, _ suffix: String) -> String {
        joinPath(directory, SegmentName.file(base, ending) + suffix)
    }

    /// Brings everything to where renaming one more file is all that is missing.
    func prepare() throws(FileError) {
        var hasAborted = false
        for base in bases {
            let index = path(base, .transactionIndex, SegmentName.cleanedSuffix)
            if try fileSystem.information(index) != nil { hasAborted = true }
            try renameSideFiles(base, SegmentName.cleanedSuffix, SegmentName.swapSuffix)
        }
        // Without its transaction index a segment shows as committed what was aborted; without the
        // others it is read more slowly, once.
        if hasAborted { try fileSystem.syncDirectory(directory) }
        for base in bases.dropFirst().reversed() {
            try rename(base, .log, SegmentName.cleanedSuffix, SegmentName.swapSuffix)
        }
        if bases.count > 1 { try fileSystem.syncDirectory(directory) }
    }

    /// Renames the file that decides. The directory is not synced yet.
    func decide() throws(FileError) {
        try rename(bases[0], .log, SegmentName.cleanedSuffix, SegmentName.swapSuffix)
    }

    /// Gives the new files their names, once the old ones are gone for good. May be called again
    /// after an error, and where some of it was done before a crash.
    func putInPlace() throws(FileError) {
        for base in bases {
            guard try fileSystem.information(path(base, .log, SegmentName.swapSuffix)) != nil else {
                continue
            }
            try renameSideFiles(base, SegmentName.swapSuffix, "")
            // No directory may have the log without them: without its transaction index what was
            // aborted would seem to be committed.
            if try fileSystem.information(path(base, .transactionIndex, "")) != nil {
                try fileSystem.syncDirectory(directory)
            }
            try rename(base, .log, SegmentName.swapSuffix, "")
            // One after the other: what still waits tells which old segments had to go.
            try fileSystem.syncDirectory(directory)
            // It has taken the place of the old one; an empty one means that something emptied it.
            let index = path(base, .transactionIndex, "")
            if try fileSystem.information(index)?.byteCount == 0 { try fileSystem.remove(index) }
        }
    }

    /// Removes what is not going to be used. The file that would decide goes last: while it has
    /// its first name, nothing is decided.
    func discard() throws(FileError) {
        for base in bases.dropFirst().reversed() {
            try fileSystem.removeIfThere(path(base, .log, SegmentName.swapSuffix))
        }
        if bases.count > 1 { try fileSystem.syncDirectory(directory) }
        for base in bases.reversed() {
            for ending in Self.sideEndings + [.log] {
                for suffix in [SegmentName.swapSuffix, SegmentName.cleanedSuffix] {
                    try fileSystem.removeIfThere(path(base, ending, suffix))
                }
            }
        }
    }

    private func renameSideFiles(
        _ base: Offset, _ source: String, _ destination: String
    ) throws(FileError) {
        for ending in Self.sideEndings {
            guard try fileSystem.information(path(base, ending, source)) != nil else { continue }
            try rename(base, ending, source, destination)
        }
    }

    private func rename(
        _ base: Offset, _ ending: SegmentName.Ending, _ source: String, _ destination: String
    ) throws(FileError) {
        try fileSystem.rename(path(base, ending, source), to: path(base, ending, destination))
    }
}

extension FileSystem {
    /// Removes a file, unless it is gone already.
    func removeIfThere(_ path: String) throws(FileError) {
        if try information(path) != nil { try remove(path) }
    }
}
