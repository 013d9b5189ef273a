import ArgumentParser
import Tally
import TallyStateStore

/// `tally explain`.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell which events made an item's stock what it is, and who has seen them.",
        discussion: """
            Reads all records of the topics that carry inventory events (those that are projected, \
            or else those whose first records are such) and applies them by the projection's \
            rules: quantities before and after each event, duplicates by their eventId, and dead \
            letters with their reasons. Takes no lock: an application may have the directory open, \
            and what it has not synced yet is shown too. Records of aborted transactions count, as \
            they do for the projection.

            "projected" says whether the projection has the event in its rows; "seen by" names the \
            groups that have committed an offset behind it. Where the first records of a partition \
            are gone, quantities count from nothing, and are told of as such. Memory holds the \
            item's events, and the event ids of all items within the projection's window.

            --json prints an object a line. row "event": topic, partition, offset, timestamp (in \
            the log), eventType, recordedAt, eventId, outcome (applied, duplicate, deadLetter), \
            reason (of a dead letter), onHandBefore, onHandAfter, reservedBefore, reservedAfter, \
            availableBefore, availableAfter, channel, decision, who, why, projected (null without \
            a projection), seenBy (names of groups), notSeenBy (groups that have committed an \
            offset in the partition, but none behind it). row "summary", for each topic: topic, \
            events, applied, duplicates, deadLetters, onHand, reserved, available, isComplete \
            (false where early records are gone), projectedOnHand, projectedReserved (null \
            without a row), agreesWithProjection (null where that cannot be told).

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The item's key, warehouse:item.")
    var key: String

    @Option(help: "Only this topic, whatever it carries.")
    var topic: String?

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    private static let attemptsMax = 5

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let reader = try GroupsReader(directory: data.data)
            var stored = try storedState()
            stored.groups = reader.groups
            let topics = try wantedTopics(reader.topics, stored, streams)
            guard !topics.isEmpty else {
                return try streams.note(
                    "No topic carries inventory events; --topic names one to look at.")
            }
            var found = 0
            for topic in topics {
                let explanation = try Explanation(
                    of: key, in: topic, directory: data.data, stored)
                guard !explanation.events.isEmpty else { continue }
                if found > 0, !rows.json { try streams.output.write(line: "") }
                found += 1
                try ExplanationPrinter(explanation, key: key, isJSON: rows.json).print(to: streams)
            }
            if found == 0 {
                let names = topics.map(\.name).joined(separator: ", ")
                try streams.note("No record of \(names) has the key \(key).")
            }
        }
    }

    private func storedState() throws -> Explanation.Stored {
        var stored = Explanation.Stored()
        guard let database = try database() else { return stored }
        let queries = InventoryQueries(database)
        var query = StockQuery()
        let parts = key.split(separator: ":", omittingEmptySubsequences: false)
        query.warehouse = parts.dropLast().joined(separator: ":")
        query.item = parts.last.map { String($0) }
        // Rows and positions of the same commit: one in between would part them.
        for _ in 0..<Self.attemptsMax {
            stored.projections = try queries.status()
            stored.rows = try queries.stock(query)
            if try queries.status() == stored.projections { break }
        }
        return stored
    }

    /// Nil where there is none yet.
    private func database() throws -> StateDatabase? {
        do {
            return try StateDatabase(readingDirectory: data.data)
        } catch {
            guard case .noProjectionYet = error else { throw error }
            return nil
        }
    }

    private func wantedTopics(
        _ topics: [TopicDescription], _ stored: Explanation.Stored, _ streams: CommandStreams
    ) throws -> [TopicDescription] {
        guard let topic else {
            return try InventoryTopics.find(
                in: topics, of: data.data, projected: stored.projections.map(\.topic), streams)
        }
        guard let found = topics.first(where: { $0.name == topic }) else {
            throw EngineError.unknownTopic(name: topic, known: topics.map(\.name))
        }
        return [found]
    }
}
