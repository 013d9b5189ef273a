import ArgumentParser
import Foundation
import Tally
import TallyImport
import TallyStateStore

/// `tally import table`, which is what `tally import` does without a subcommand.
struct ImportTableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table",
        abstract: "Import a table (CSV, plain or .lz4) as inventory events.",
        discussion: """
            Templates name columns in braces: --key '{Country}:{StockCode}'. --delta takes one \
            column, or its negation: '-{Quantity}'. Times without a zone are UTC.

            With --on-error stop (the default) a file is checked as a whole first, and a bad row \
            leaves the log as it was. Standard input cannot be read twice: there the rows before \
            the bad one are in the log.
            """)

    @Argument(help: "The file, or - for standard input.")
    var file: String

    @Option(help: "The topic; it is created where it does not exist.")
    var topic: String

    @Option(help: "Partitions of a topic that is created.")
    var partitions: Int?

    @Option(help: "A setting name=value of a topic that is created. Repeatable.")
    var config: [String] = []

    @Option(help: "The record key.")
    var key: String

    // Unconditional, since it may begin with a dash.
    @Option(parsing: .unconditional, help: "The quantity: '{Column}' or '-{Column}'.")
    var delta: String

    @Option(help: "When it happened; also the record's timestamp.")
    var time: String

    @Option(help: "How times are written, as strptime has it (%Y-%m-%d ...).")
    var timeFormat: String?

    @Option(help: "The kind of the events.")
    var eventType = "STOCK_ADJUSTED"

    @Option(help: "What tells an event from every other, to count repeats once.")
    var eventId: String?

    @Option(help: "The codec; lz4 and none are in every build.")
    var compression = CompressionOption.lz4

    @Option(help: "synced, buffered, or interval:MILLISECONDS.")
    var durability: Durability?

    @Option(help: "What to do about a bad row: stop or skip.")
    var onError = OnError.stop

    @OptionGroup var data: DataOptions

    /// What to do about a bad row.
    enum OnError: String, ExpressibleByArgument, CaseIterable {
        case stop, skip
    }

    func run() async throws {
        var settings = try TopicConfiguration(settings: config)
        if let durability { try settings.set("tally.durability", to: durability.text) }
        let job = ImportJob(
            file: file, topic: topic, partitions: partitions, settings: settings,
            options: ImportOptions(
                key: key, delta: delta, time: time, timeFormat: timeFormat, eventType: eventType,
                eventID: eventId),
            compression: compression.codec, isSkipping: onError == .skip)
        let (directory, durability) = (data.data, durability)
        try await interruptible {
            let checked = try job.check()
            try await withEngine(at: directory, durability: durability) { engine in
                let report = try await job.run(on: engine, expectedRows: checked)
                // At once: the rows are in the log whatever becomes of the projection.
                report.print(topic: job.topic)
                let database = try StateDatabase(directory: directory)
                try await project(job.topic, engine, database)
            }
        }
    }
}

/// Brings the projection of a topic up to date, showing how far it is.
func project(_ topic: String, _ engine: Engine, _ database: StateDatabase) async throws {
    let bar = ProgressBar("projecting")
    defer { bar.finish() }
    try database.remember(topic: topic)
    try await InventoryProjector(engine: engine, database: database).catchUp(topic: topic) {
        state in
        bar.update(state.records, of: state.records + state.lag, unit: "events")
    }
}

/// The codecs under their names. Codec itself would show its number, which stands in a batch, as
/// the default.
enum CompressionOption: String, ExpressibleByArgument, CaseIterable {
    case none, gzip, snappy, lz4, zstd

    var codec: Codec {
        switch self {
        case .none: .none
        case .gzip: .gzip
        case .snappy: .snappy
        case .lz4: .lz4
        case .zstd: .zstd
        }
    }
}

extension Durability: ExpressibleByArgument {
    /// Reads what `tally.durability` takes.
    public init?(argument: String) { self.init(text: argument) }
}
