import Tally
import TallyTestSupport
import Testing

@testable import TallyCommand

/// `tally topics migrate` of topics that were written in transactions.
@Suite(.timeLimit(.minutes(10))) struct MigrateTransactionsTests {
    private let place: CommandWorkplace

    init() throws { place = try CommandWorkplace() }

    private func migrate() throws -> CommandRun {
        try place.run(
            ["topics", "migrate", "old", "--to", "new", "--partitions", "5"], input: [])
    }

    /// A producer in transactions; 40 of them, every third aborted, with a record of some key each
    /// and some without any transaction in between.
    private func fill(_ engine: Engine) async throws {
        try await engine.createTopic("old", partitions: 2)
        let producer = try writer(engine)
        try await producer.initTransactions()
        let plain = try engine.producer()
        for number in 0..<40 {
            try producer.beginTransaction()
            _ = try await producer.send(key: "k\(number % 7)", value: "t\(number)", to: "old")
            if number % 3 == 0 {
                try await producer.abortTransaction()
            } else {
                try await producer.commitTransaction()
            }
            if number % 5 == 0 {
                _ = try await plain.send(key: "k\(number % 7)", value: "p\(number)", to: "old")
            }
        }
    }

    private func writer(_ engine: Engine) throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "writer"
        return try engine.producer(configuration)
    }

    /// The values of each key that readers of committed records see.
    private func values(
        of topic: String, in engine: Engine, _ isolation: IsolationLevel
    ) async throws -> [String: [String]] {
        var values: [String: [String]] = [:]
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = isolation
        for try await records in try engine.consumer(of: topic, configuration) {
            try records.forEachRecord { record in
                values[record.keyText ?? "", default: []].append(record.valueText ?? "")
            }
        }
        return values
    }

    @Test("what was committed is copied, in order, and what was aborted is not")
    func committed() async throws {
        var engine = try await GroupsWorkplace.open(place)
        try await fill(engine)
        let wanted = try await values(of: "old", in: engine, .readCommitted)
        try await engine.close()
        let run = try migrate()
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output.contains("Copied 34 records"), "\(run.output)")
        engine = try await GroupsWorkplace.open(place)
        // Also for those who read everything.
        #expect(try await values(of: "new", in: engine, .readUncommitted) == wanted)
        #expect(wanted.values.map(\.count).reduce(0, +) == 34)
        try await engine.close()
    }

    @Test("a transaction that has not ended is refused by name, and nothing is made")
    func open() async throws {
        var engine: Engine? = try await GroupsWorkplace.open(place)
        try await fill(try #require(engine))
        var producer: Producer? = try writer(try #require(engine))
        try await producer?.initTransactions()
        try producer?.beginTransaction()
        _ = try await producer?.send(key: "k1", value: "open", to: "old")
        try await engine?.close()
        (producer, engine) = (nil, nil)
        let run = try migrate()
        #expect(run.exitCode == ExitCodes.failure)
        #expect(run.errors.contains("holds a transaction that has not ended"), "\(run.errors)")
        #expect(try place.run("topics", "list", "--json").lines.count == 1)
    }
}
