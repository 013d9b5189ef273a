import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// A partition directory that Apache Kafka wrote.
struct Golden: Sendable, CustomTestStringConvertible {
    var topic: String
    /// The topic's settings where they are not Kafka's defaults.
    var configuration = LogConfiguration()

    static let all: [Golden] = [
        Golden(topic: "golden-plain", indexIntervalBytes: 512),
        Golden(topic: "golden-lz4", segmentBytesMax: 65536, indexIntervalBytes: 1024),
        Golden(topic: "golden-gzip"), Golden(topic: "golden-snappy"), Golden(topic: "golden-zstd"),
        Golden(topic: "golden-append-time"),
        Golden(topic: "golden-idempotent"), Golden(topic: "golden-transactions"),
        Golden(topic: "golden-compacted"),
    ]

    /// Those whose files are as appending left them; a cleaner has rewritten the other.
    static var appended: [Golden] { all.filter { $0.topic != "golden-compacted" } }

    init(topic: String, segmentBytesMax: Int? = nil, indexIntervalBytes: Int? = nil) {
        self.topic = topic
        if let segmentBytesMax { configuration.segmentBytesMax = segmentBytesMax }
        if let indexIntervalBytes { configuration.indexIntervalBytes = indexIntervalBytes }
    }

    var testDescription: String { topic }

    private var path: String { Fixtures.path("kafka-golden/partitions/\(topic)-0") }

    /// The directory's files by name.
    func contents() throws -> [String: [UInt8]] {
        let files = PosixFileSystem()
        var contents: [String: [UInt8]] = [:]
        for name in try files.list(path) {
            contents[name] = try files.readWhole(joinPath(path, name), byteCountMax: 1 << 24)
        }
        return contents
    }

    /// Puts a copy of the directory on a file system, every file on stable storage.
    func copy(to directory: String, on files: any FileSystem) throws {
        try files.createDirectory(directory)
        for (name, bytes) in try contents() {
            try files.replace(joinPath(directory, name), with: bytes)
        }
    }

    /// All batches, in order, each with its bytes.
    func batches() throws -> [(header: RecordBatchHeader, bytes: [UInt8])] {
        let contents = try contents()
        var batches: [(RecordBatchHeader, [UInt8])] = []
        for base in SegmentName.baseOffsets(among: Array(contents.keys)) {
            let log = contents[SegmentName.file(base, .log)] ?? []
            var position = 0
            while position < log.count {
                let header = try RecordBatchHeader(decoding: log.span.bytes, at: position)
                let end = position + header.sizeInBytes
                batches.append((header, Array(log[position..<end])))
                position = end
            }
        }
        return batches
    }
}

/// All files of a directory by name, for comparing before and after.
func contents(of directory: String, on files: any FileSystem) throws -> [String: [UInt8]] {
    var contents: [String: [UInt8]] = [:]
    for name in try files.list(directory) {
        contents[name] = try files.readWhole(joinPath(directory, name), byteCountMax: 1 << 30)
    }
    return contents
}
