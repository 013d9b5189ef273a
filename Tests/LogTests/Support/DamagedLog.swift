import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport

/// A closed log of several segments, kept as bytes, to be damaged and opened.
struct DamagedLog {
    var harness: LogHarness
    var model = LogModel()
    /// The timestamp of the record at each offset.
    var timestamps: [Int64] = []
    /// Every batch: its segment, its place there, and its header.
    private(set) var batches: [(base: Offset, position: Int, header: RecordBatchHeader)] = []
    /// The directory's files by name; changed at will before `open`.
    var contents: [String: [UInt8]] = [:]
    private let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])

    var end: Offset { Offset(Int64(model.values.count)) }
    var bases: [Offset] { SegmentName.baseOffsets(among: Array(contents.keys)) }

    /// - Parameter recordBytes: makes each value at least so large.
    init(
        batchCount: Int = 24, recordBytes: Int = 0, configuration: LogConfiguration? = nil,
        using generator: inout some RandomNumberGenerator
    ) throws {
        harness = LogHarness(files: files)
        if let configuration { harness.configuration = configuration }
        let log = try harness.open()
        for number in 0..<batchCount {
            let count = 1 + number % 3
            let values = (0..<count).map { index in
                Array("value \(number) \(index) ".utf8)
                    + [UInt8](repeating: UInt8(number % 251), count: recordBytes)
            }
            model.values += values
            // Rising on the whole, with large steps back and some largest ones early.
            let time = Int64(number * 10) + Int64.random(in: -60...60, using: &generator)
            timestamps += Array(repeating: max(time, 0), count: count)
            try log.append(values: values, timestamp: max(time, 0))
        }
        _ = try log.close()
        contents = try LogTests.contents(of: LogHarness.directory, on: files)
        for base in bases {
            let bytes = contents[SegmentName.file(base, .log)] ?? []
            var position = 0
            while position < bytes.count {
                let header = try RecordBatchHeader(decoding: bytes.span.bytes, at: position)
                batches.append((base, position, header))
                position += header.sizeInBytes
            }
        }
    }

    /// The bytes of one of a segment's files.
    subscript(base: Offset, ending: SegmentName.Ending) -> [UInt8] {
        get { contents[SegmentName.file(base, ending)] ?? [] }
        set { contents[SegmentName.file(base, ending)] = newValue }
    }

    /// The files as they are now, on a file system of their own.
    func install() throws -> LogHarness {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        for (name, bytes) in contents {
            try files.replace(joinPath(LogHarness.directory, name), with: bytes)
        }
        var harness = harness
        harness.files = files
        return harness
    }

    /// The first record at a time or later.
    func firstOffset(at time: Int64) -> Offset? {
        timestamps.firstIndex { $0 >= time }.map { Offset(Int64($0)) }
    }
}

/// Collects what a log reports.
final class Events: @unchecked Sendable {
    private(set) var all: [LogEvent] = []
    func note(_ event: LogEvent) { all.append(event) }

    var cuts: [(file: String, byteCount: Int, keptIn: String?)] {
        all.compactMap { event in
            guard case .cutTail(_, let file, _, let byteCount, let keptIn, _) = event else {
                return nil
            }
            return (file, byteCount, keptIn)
        }
    }

    var rebuiltCount: Int {
        all.count { if case .rebuiltIndexes = $0 { true } else { false } }
    }
}

/// The corruption that a closure throws; nil when it throws something else, or nothing.
func corruption(_ body: () throws -> Void) -> Corruption? {
    do {
        try body()
        return nil
    } catch let error as LogError {
        if case .corruption(let corruption) = error { return corruption }
        return nil
    } catch {
        return nil
    }
}
