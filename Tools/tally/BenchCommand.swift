import ArgumentParser
import Foundation
import TallyBench

/// `tally bench`.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the engine next to this machine's limits.",
        discussion: """
            One thread, page cache warm; batches of 16 KiB of record data, .buffered except for \
            durable appends. Each figure is the median of several runs, paired with its limit \
            measured in the same run.
            """)

    @Option(help: "Where the temporary files go; they are removed again.")
    var directory = NSTemporaryDirectory()

    @Option(help: "The table for the projection of real data.")
    var file = "fixtures/online-retail.csv.lz4"

    @Option(help: "Runs of each figure.")
    var runs = 5

    @Option(help: "Megabytes of values per workload.")
    var megabytes = 200

    @Option(
        help: ArgumentHelp(
            "Measure this figure only; may be repeated: "
                + "\(Benchmark.allNames.joined(separator: ", ")).",
            valueName: "figure"))
    var only: [String] = []

    @OptionGroup var rows: RowOptions

    func validate() throws {
        if let unknown = only.first(where: { !Benchmark.allNames.contains($0) }) {
            throw ValidationError(
                "There is no figure '\(unknown)'; there are "
                    + "\(Benchmark.allNames.joined(separator: ", ")).")
        }
        if runs < 1 { throw ValidationError("--runs must be 1 or more.") }
        if megabytes < 1 { throw ValidationError("--megabytes must be 1 or more.") }
    }

    func run() async throws {
        #if DEBUG
            Console.note("Warning: this is a debug build; build with -c release to measure.")
        #endif
        let place = URL(fileURLWithPath: directory)
            .appendingPathComponent("tally-bench-\(ProcessInfo.processInfo.processIdentifier)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        let hasFile = FileManager.default.fileExists(atPath: file)
        if !hasFile { Console.note("\(file) is not there: no projection of real data.") }
        var benchmark = Benchmark(directory: place.path, file: hasFile ? file : nil)
        benchmark.runs = runs
        benchmark.byteCount = megabytes << 20
        benchmark.names = only.isEmpty ? nil : Set(only)
        try await printingRows { streams in
            if !rows.json { try streams.output.write(line: BenchmarkLine.title) }
            try await benchmark.run { line in
                if rows.json {
                    try streams.output.write(line.fields)
                } else {
                    try streams.output.write(line: line.row)
                }
                try streams.output.flush()
            }
        }
    }
}

extension BenchmarkLine {
    fileprivate static let title = """
        | what | value | codec | figure | bytes/s | limit | ratio | aim | note |
        |---|---|---|---|---|---|---|---|---|
        """

    /// The line as a row of a Markdown table.
    fileprivate var row: String {
        var cells = [name, valueBytes.map { "\($0) B" } ?? "", codec ?? ""]
        let unit = isDuration ? self.unit : self.unit + "/s"
        cells.append("\(Self.short(perSecond)) \(unit)")
        cells.append(bytesPerSecond.map { Format.bytes(Int($0)) + "/s" } ?? "")
        if let limitName, let limitPerSecond {
            cells.append("\(limitName): \(Self.short(limitPerSecond)) \(unit)")
        } else {
            cells.append("")
        }
        cells.append(ratio.map { Format.fixed($0, 2) } ?? "")
        cells.append(target ?? "")
        cells.append(note ?? "")
        return "| " + cells.joined(separator: " | ") + " |"
    }

    private static func short(_ rate: Double) -> String {
        if rate >= 1e6 { return Format.fixed(rate / 1e6, 2) + " M" }
        if rate >= 1e3 { return Format.fixed(rate / 1e3, 1) + " k" }
        return Format.fixed(rate, 0)
    }

    fileprivate func fields(_ line: inout JSONLine) {
        line.field("name", name)
        line.field("valueBytes", orNull: valueBytes)
        line.field("codec", orNull: codec)
        line.field("unit", unit)
        line.field("perSecond", Int(perSecond))
        line.field("bytesPerSecond", orNull: bytesPerSecond.map { Int($0) })
        line.field("limitName", orNull: limitName)
        line.field("limitPerSecond", orNull: limitPerSecond.map { Int($0) })
        line.field("ratioPerMille", orNull: ratio.map { Int($0 * 1000) })
        line.field("target", orNull: target)
        line.field("note", orNull: note)
    }
}
