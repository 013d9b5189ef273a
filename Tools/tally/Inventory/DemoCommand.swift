import ArgumentParser
import Foundation
import Tally
import TallyImport
import TallyStateStore

/// `tally demo`: the main job, end to end, on real data.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Import a year of real sales, project them into stock, and show both.",
        discussion: """
            Imports the UCI "Online Retail" data set (541,909 rows) into topic inventory-events of \
            the data directory and builds the projection. Run again, it keeps what is there and \
            rebuilds the projection from the log.
            """)

    @Option(help: "The table to import.")
    var file = "fixtures/online-retail.csv.lz4"

    @OptionGroup var data: DataOptions

    static let topic = "inventory-events"

    func run() async throws {
        let (file, directory) = (file, data.data)
        try await interruptible {
            try await withEngine(at: directory) { engine in
                let database = try StateDatabase(directory: directory)
                let mark = UnfinishedMark(directory: directory)
                try await startOver(engine, mark)
                var imported: ImportJob.Report?
                if try engine.topics().contains(where: { $0.name == Self.topic }) {
                    try sayKept(engine)
                } else {
                    try mark.set()
                    let job = try Self.job(for: file)
                    let rows = try job.check()
                    imported = try await job.run(on: engine, expectedRows: rows)
                    imported?.print(topic: Self.topic)
                    try mark.clear()
                }
                let projected = try await Self.project(
                    engine, database, isNew: imported != nil)
                let report = DemoReport(
                    topic: Self.topic, engine: engine, queries: InventoryQueries(database),
                    imported: imported, projected: projected, directory: directory)
                try report.print()
            }
        }
    }

    /// A demo that was interrupted left a part of the events, which nobody can tell from the
    /// whole later: begin again.
    private func startOver(_ engine: Engine, _ mark: UnfinishedMark) async throws {
        guard mark.isSet else { return }
        if try engine.topics().contains(where: { $0.name == Self.topic }) {
            Console.note("An earlier run was interrupted while it imported: starting over.")
            try await engine.deleteTopic(Self.topic)
        }
        try mark.clear()
    }

    private func sayKept(_ engine: Engine) throws {
        let topic = try engine.describeTopic(Self.topic)
        let count = topic.partitions.reduce(0) { $0 + $1.logEnd.rawValue - $1.logStart.rawValue }
        Console.out(
            """
            Topic \(Self.topic) in \(data.data) holds \(count.grouped) events from an \
            earlier run: kept, nothing imported again. The projection is rebuilt from them.
            """)
    }

    private static func job(for file: String) throws -> ImportJob {
        ImportJob(
            file: file, topic: topic, partitions: 12,
            settings: try TopicConfiguration([
                // The events are years old: time limits would delete or scatter them.
                "retention.ms": "-1", "segment.ms": "\(Int64.max)",
            ]),
            options: ImportOptions(
                key: "{Country}:{StockCode}", delta: "-{Quantity}", time: "{InvoiceDate}"),
            compression: .lz4, isSkipping: false)
    }

    /// How long the projection took and what it went through.
    struct Projected: Sendable {
        var records: Int64
        var seconds: Double
        var isRebuild: Bool
    }

    private static func project(
        _ engine: Engine, _ database: StateDatabase, isNew: Bool
    ) async throws -> Projected {
        let start = ContinuousClock.now
        let bar = ProgressBar("projecting")
        defer { bar.finish() }
        try database.remember(topic: topic)
        let projector = InventoryProjector(engine: engine, database: database)
        let show: @Sendable (InventoryProjector.Progress) -> Void = { state in
            bar.update(state.records, of: state.records + state.lag, unit: "events")
        }
        // A new topic of an old name has nothing to do with the rows of the old one.
        let done = try await projector.rebuild(topic: topic, onProgress: show)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return Projected(records: done.records, seconds: seconds, isRebuild: !isNew)
    }
}

/// A file that exists while the demo imports, so that the next run can tell a part from the whole.
private struct UnfinishedMark {
    let directory: String
    private var path: String { directory + "/demo-import-unfinished" }

    var isSet: Bool { FileManager.default.fileExists(atPath: path) }

    func set() throws { try Data().write(to: URL(fileURLWithPath: path)) }

    func clear() throws {
        if isSet { try FileManager.default.removeItem(atPath: path) }
    }
}
