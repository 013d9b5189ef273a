import Tally
import TallyStateStore

/// Which topics carry inventory events.
enum InventoryTopics {
    /// The topics that the state database remembers; where it remembers none, those whose first
    /// records are inventory events.
    static func find(_ engine: Engine, _ database: StateDatabase) throws -> [String] {
        let remembered = try InventoryQueries(database).topics()
        let existing = Set(try engine.topics().map(\.name))
        let known = remembered.filter { existing.contains($0) }
        if !known.isEmpty { return known }
        return existing.sorted().filter { topic in
            do {
                return try carriesEvents(topic, engine)
            } catch {
                // One topic that cannot be read must not hide the others.
                Console.note("Topic \(topic) was not looked at: \(error)")
                return false
            }
        }
    }

    /// Looks at the first records of a topic.
    private static func carriesEvents(_ topic: String, _ engine: Engine) throws -> Bool {
        let consumer = try engine.consumer(of: topic)
        var events = 0
        var others = 0
        while events + others < 100, let records = try consumer.poll() {
            try records.forEachRecord { record in
                if InventoryProjection.isEvent(record) { events += 1 } else { others += 1 }
            }
        }
        return events > others
    }

    // MARK: Without a lock

    /// The same from the files alone, beside whoever has the directory open: the topics that are
    /// projected, or else those whose first records are inventory events.
    static func find(
        in topics: [TopicDescription], of directory: String, projected: [String],
        _ streams: CommandStreams
    ) throws -> [TopicDescription] {
        let known = topics.filter { projected.contains($0.name) }
        guard known.isEmpty else { return known }
        return try topics.filter { topic in
            do {
                return try carriesEvents(topic, in: directory)
            } catch let error as CommandFailure {
                // One topic that cannot be read must not hide the others.
                try streams.note("note: topic \(topic.name) was not looked at: \(error)")
                return false
            }
        }
    }

    private static func carriesEvents(
        _ topic: TopicDescription, in directory: String
    ) throws -> Bool {
        var survey = RecordSurvey()
        var events = 0
        var others = 0
        do {
            for place in topic.places(in: directory) {
                try survey.forEachRecord(of: place.path, from: place.logStart) { record, _ in
                    if InventoryProjection.isEvent(record) { events += 1 } else { others += 1 }
                    if events + others >= 100 { throw RecordSurvey.Enough() }
                }
            }
        } catch is RecordSurvey.Enough {
            return events > others
        }
        return events > others
    }
}
