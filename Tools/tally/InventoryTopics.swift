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
}
