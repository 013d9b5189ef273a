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

    @OptionGroup var rows: RowOptions

    func validate() throws {
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
        if !rows.json { Console.out(Measurement.title) }
        try await benchmark.run { line in Console.out(rows.json ? line.jsonLine : line.row) }
    }
}

extension Measurement {
    fileprivate static let title = """
        | what | value | codec | figure | bytes/s | limit | ratio | aim |
        |---|---|---|---|---|---|---|---|
        """

    /// The line as a row of a Markdown table.
    fileprivate var row: String {
        let cells = [
            name, valueBytes.map { "\($0) B" } ?? "", codec ?? "",
            "\(Self.short(perSecond)) \(unit)/s",
            bytesPerSecond.map { "\(Format.bytes(Int($0)))/s" } ?? "",
            limitPerSecond.map { "\(limitName ?? ""): \(Self.short($0)) \(unit)/s" } ?? "",
            ratio.map { Format.fixed($0, 2) } ?? "", target ?? "",
        ]
        return "| " + cells.joined(separator: " | ") + " |"
    }

    private static func short(_ rate: Double) -> String {
        rate >= 1e6
            ? Format.fixed(rate / 1e6, 2) + " M"
            : rate >= 1e3 ? Format.fixed(rate / 1e3, 1) + " k" : Format.fixed(rate, 0)
    }

    fileprivate var jsonLine: String {
        var line = JSONLine()
        line.add("name", name)
        line.add("valueBytes", raw: valueBytes.map { String($0) } ?? "null")
        line.add("codec", codec)
        line.add("unit", unit)
        line.add("perSecond", perSecond)
        line.add("bytesPerSecond", raw: bytesPerSecond.map { String($0) } ?? "null")
        line.add("limitName", limitName)
        line.add("limitPerSecond", raw: limitPerSecond.map { String($0) } ?? "null")
        line.add("ratio", raw: ratio.map { String($0) } ?? "null")
        line.add("target", target)
        return line.finished
    }
}
