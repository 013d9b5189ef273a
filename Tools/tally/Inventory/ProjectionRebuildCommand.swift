import ArgumentParser
import Tally
import TallyStateStore

/// `tally projection rebuild`.
struct ProjectionRebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Build the projection anew from the log, beside the live one, and swap.",
        discussion: """
            Without --topic, all topics that are known to carry inventory events; where state.db \
            was lost, they are found again by looking at the records.
            """)

    @Option(help: "Only this topic.")
    var topic: String?

    @OptionGroup var data: DataOptions

    func run() async throws {
        let (directory, topic) = (data.data, topic)
        try data.requireDirectory()
        try await interruptible {
            try await withEngine(at: directory) { engine in
                let database = try StateDatabase(directory: directory)
                let topics = try topic.map { [$0] } ?? InventoryTopics.find(engine, database)
                guard !topics.isEmpty else {
                    return Console.note(
                        "No topic carries inventory events; name one with --topic.")
                }
                for topic in topics { try await rebuild(topic, engine, database) }
            }
        }
    }

    private func rebuild(
        _ topic: String, _ engine: Engine, _ database: StateDatabase
    ) async throws {
        _ = try engine.describeTopic(topic)
        let start = ContinuousClock.now
        let bar = ProgressBar("rebuilding \(topic)")
        defer { bar.finish() }
        try database.remember(topic: topic)
        let projector = InventoryProjector(engine: engine, database: database)
        let done = try await projector.rebuild(topic: topic) { state in
            bar.update(state.records, of: state.records + state.lag, unit: "events")
        }
        bar.finish()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        Console.out(
            "Rebuilt the projection of \(topic) from \(done.records.grouped) records in "
                + "\(Format.fixed(seconds, 1)) s; \(done.deadLetters.grouped) dead letters.")
    }
}
