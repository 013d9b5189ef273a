import Foundation
import TallyCommand
import TallyTestSupport
import Testing

/// That the benchmark runs, not how fast: few records, and figures that are quick with them.
@Suite(.timeLimit(.minutes(10))) struct BenchCommandTests {
    private let place: CommandWorkplace

    init() throws { place = try CommandWorkplace() }

    /// The rows of some figures, each measured once.
    private func rows(_ figures: String...) throws -> [[String: Any]] {
        let run = try CommandRun.program(
            ["bench", "--runs", "1", "--megabytes", "1", "--json"]
                + ["--directory", place.directory.path] + figures.flatMap { ["--only", $0] })
        #expect(run.exitCode == 0, "\(run.errors)")
        let rows = try place.objects(run)
        for row in rows { #expect(row["perSecond"] as? Int ?? 0 > 0, "\(row)") }
        return rows
    }

    @Test("a figure of the log is measured for each size of value and codec, beside its limit")
    func log() throws {
        let rows = try rows("append", "recovery", "sqlite")
        let appends = rows.filter { $0["name"] as? String == "append" }
        #expect(appends.map { $0["valueBytes"] as? Int } == [100, 1024, 100, 1024])
        #expect(appends.map { $0["codec"] as? String } == ["none", "none", "lz4", "lz4"])
        for row in appends { #expect(row["limitPerSecond"] as? Int ?? 0 > 0, "\(row)") }
        #expect(rows.count { $0["name"] as? String == "recovery" } == 4)
        #expect(rows.count { ($0["name"] as? String ?? "").hasPrefix("plain SQLite") } == 2)
        let left = try FileManager.default.contentsOfDirectory(atPath: place.directory.path)
        #expect(!left.contains { $0.hasPrefix("tally-bench") }, "its files are gone: \(left)")
    }

    @Test("a figure that there is not is refused with the names of those that there are")
    func unknownFigure() throws {
        let run = try CommandRun.program("bench", "--only", "speed")
        #expect(run.exitCode == ExitCodes.usage && run.output.isEmpty)
        #expect(run.errors.contains("no figure 'speed'") && run.errors.contains("clients"))
    }
}
