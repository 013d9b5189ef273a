import TallyFiles
import TallyRecords

/// Keeps what recovery takes out of a log, in a file beside it, for a person to look at.
///
/// Used by one thread while a log is opened.
struct SideFile {
    /// What was taken out.
    struct Cut {
        /// The log file it was taken from.
        var file: String
        var byteCount: Int
        /// Where it is now; nil where it was all zero and is gone.
        var keptIn: String?
    }

    private let segment: Segment
    private let fileSystem: any FileSystem

    init(of segment: Segment, on environment: LogEnvironment) {
        self.segment = segment
        fileSystem = environment.fileSystem
    }

    /// Copies the bytes from `position` on to a side file and cuts them off. Each step is on
    /// stable storage before the next begins.
    func cut(at position: FilePosition) throws(LogError) -> Cut {
        let byteCount = segment.byteCount - position.rawValue
        let isZero = try isAllZero(from: position.rawValue)
        do {
            var keptIn: String?
            if !isZero { keptIn = try copyTail(from: position) }
            try segment.logFile.truncate(to: Int64(position.rawValue))
            try segment.logFile.sync()
            return Cut(file: segment.path, byteCount: byteCount, keptIn: keptIn)
        } catch {
            throw .file(error)
        }
    }

    /// Makes a side file of the whole segment and removes its indexes.
    func takeAll() throws(LogError) -> Cut {
        let path = segment.path
        do {
            let sidePath = try freePath(at: .start)
            segment.abandonFiles()
            try fileSystem.rename(path, to: sidePath)
            for ending in SegmentName.Ending.allCases where ending != .log {
                let side = joinPath(
                    segment.directory, SegmentName.file(segment.baseOffset, ending))
                if try fileSystem.information(side) != nil { try fileSystem.remove(side) }
            }
            try fileSystem.syncDirectory(segment.directory)
            return Cut(file: path, byteCount: segment.byteCount, keptIn: sidePath)
        } catch {
            throw .file(error)
        }
    }

    private func isAllZero(from position: Int) throws(LogError) -> Bool {
        var at = position
        while at < segment.byteCount {
            let window = try segment.load(at..<min(at + (1 << 20), segment.byteCount))
            guard window.all.isAllZero else { return false }
            at = window.range.upperBound
        }
        return true
    }

    private func copyTail(from position: FilePosition) throws(FileError) -> String {
        let path = try freePath(at: position)
        let side = try fileSystem.open(path, .createNew)
        do throws(FileError) {
            var at = position.rawValue
            while at < segment.byteCount {
                let bytes = try segment.logFile.read(
                    byteCount: min(1 << 20, segment.byteCount - at), at: Int64(at))
                guard !bytes.isEmpty else { break }
                try side.write(all: bytes.rawSpan, at: Int64(at - position.rawValue))
                at += bytes.count
            }
            try side.sync()
        } catch {
            try? fileSystem.remove(path)
            throw error
        }
        try fileSystem.syncDirectory(segment.directory)
        return path
    }

    /// A name that no earlier cut at the same place has.
    private func freePath(at position: FilePosition) throws(FileError) -> String {
        let path = joinPath(
            segment.directory, SegmentName.cut(segment.baseOffset, at: position))
        var free = path
        var number = 1
        while try fileSystem.information(free) != nil {
            number += 1
            free = "\(path)-\(number)"
        }
        return free
    }
}
