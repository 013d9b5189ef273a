import Tally
import TallyFiles
import TallyLog
import TallyRecords

/// A partition's directory, and the topic and number its name says.
struct PartitionDirectory {
    var path: String
    /// The directory's own name.
    var name: String
    var topic: String
    var partition: Int32

    /// Nil where the path does not end in a topic, a dash and a number.
    init?(_ path: String) {
        name = path.split(separator: "/").last.map { String($0) } ?? path
        guard let dash = name.lastIndex(of: "-"), dash > name.startIndex else { return nil }
        let digits = name[name.index(after: dash)...]
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let number = Int32(digits), String(number) == digits
        else { return nil }
        self.path = path
        topic = String(name[..<dash])
        partition = number
    }

    /// The partitions in a data directory, by topic and number.
    static func all(
        in directory: String, on fileSystem: any FileSystem
    ) throws -> [PartitionDirectory] {
        var found: [PartitionDirectory] = []
        for name in try fileSystem.list(directory) {
            guard let partition = PartitionDirectory(joinPath(directory, name)),
                try fileSystem.information(partition.path)?.isDirectory == true
            else { continue }
            found.append(partition)
        }
        return found.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
    }
}

/// What `tally inspect` was pointed at.
struct InspectTarget {
    /// One partition, or one segment of it.
    struct Part {
        var directory: String
        /// The segment to look at; nil for all.
        var only: Offset?
        /// Where several partitions are looked at: which this is.
        var label: PartitionDirectory?
    }

    /// None where an engine's directory has no topics.
    var parts: [Part]
    /// The data directory; nil where one partition or segment was named.
    let dataDirectory: String?
    let environment: LogEnvironment
    let fileSystem: any FileSystem

    /// Finds out what a path leads to. Throws a ``CommandFailure`` that says what is missing.
    init(_ path: String, on fileSystem: any FileSystem) throws {
        self.fileSystem = fileSystem
        environment = LogEnvironment.readOnly(on: fileSystem)
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        guard let found = try fileSystem.information(path) else {
            throw CommandFailure("\(path) does not exist", exitCode: ExitCodes.noInput)
        }
        if !found.isDirectory {
            parts = [try Self.segment(path)]
        } else {
            parts = try Self.partitions(path, fileSystem)
        }
        dataDirectory =
            parts.isEmpty ? path : parts.first?.label.map { parentDirectory(of: $0.path) }
    }

    private static func segment(_ path: String) throws -> Part {
        let name = path.split(separator: "/").last.map { String($0) } ?? path
        guard let base = SegmentName.baseOffset(of: name, .log) else {
            throw CommandFailure(
                "\(path) is not a segment: those are named with 20 digits and .log; for an index "
                    + "or a checkpoint, inspect its segment or directory",
                exitCode: ExitCodes.noInput)
        }
        return Part(directory: parentDirectory(of: path), only: base)
    }

    private static func partitions(
        _ path: String, _ fileSystem: any FileSystem
    ) throws -> [Part] {
        let names = try fileSystem.list(path)
        let isPartition =
            names.contains(PartitionMetadata.fileName) || names.contains(LeaderEpochs.fileName)
            || !SegmentName.baseOffsets(among: names).isEmpty
        if isPartition { return [Part(directory: path)] }
        let found = try PartitionDirectory.all(in: path, on: fileSystem)
        guard !found.isEmpty else {
            if PartitionDirectory(path) != nil { return [Part(directory: path)] }
            // What an engine begins with.
            if try DirectoryRepair.isDataDirectory(path, fileSystem) { return [] }
            throw CommandFailure(
                "\(path) holds neither segments (.log files) nor partitions (<topic>-<number>)",
                exitCode: ExitCodes.noInput)
        }
        return found.map { Part(directory: $0.path, label: $0) }
    }

    /// The segments of a part, as they are now.
    func segments(of part: Part, in snapshot: PartitionSnapshot) throws -> [Segment] {
        let segments = snapshot.segments
        guard let only = part.only else { return segments }
        return segments.filter { $0.baseOffset == only }
    }
}

extension BatchDamage {
    /// The damage as an error that names the file.
    func failure(in segment: Segment) -> CommandFailure {
        CommandFailure(
            "\(segment.path): byte \(position): no batch begins here: \(error); "
                + "`tally inspect --verify` tells more")
    }
}

extension RecordError {
    /// An error of a batch, as one that names the file and the batch's position in it.
    func failure(in file: String, at position: FilePosition) -> CommandFailure {
        if case .codecNotSupported = kind {
            return CommandFailure(
                "\(file): byte \(position): \(self)", exitCode: ExitCodes.unsupportedCodec)
        }
        var error = self
        if !isInDecompressedRecords { error.position += position.rawValue }
        return CommandFailure("\(file): batch at byte \(position): \(error)")
    }
}
