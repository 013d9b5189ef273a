import Tally
import TallyCommand

/// What a load did to a topic: how it spread, who is behind, and in which order it can be read.
struct DesignOutcome {
    /// All records; those of a partition in their order.
    let records: [DesignEngine.Read]
    /// Shares of the partitions, as `tally topics skew` reckons them.
    let skew: TopicSkew
    /// How far a group is behind whose members read equally fast in every partition.
    let lag: [Int32: Int64]

    /// How many records of a partition the group reads in the time in which the load comes: half
    /// as much again as comes to a partition on the average.
    static func pace(_ recordCount: Int, partitionCount: Int) -> Int {
        Int(TopicSkew.ratioMax * Double(recordCount) / Double(partitionCount))
    }

    /// Sends the events to a topic of a fresh engine, and looks at it.
    static func of(
        _ events: [DesignEvent], _ design: Design, partitioner: Partitioner? = nil,
        key: (DesignEvent) -> String?
    ) async throws -> DesignOutcome {
        let place = try await DesignEngine(contract: design.contract)
        let count = try place.partitions(of: design.topic).count
        try await place.send(
            events.map { ProducerRecord($0, to: design.topic, key: key($0)) },
            batchBytes: design.batchBytes, partitioner: partitioner)
        let records = try await place.records(of: design.topic)
        let lag = try await place.lag(
            of: design.topic,
            atRecordsPerPartition: pace(events.count, partitionCount: count))
        try await place.close()
        return DesignOutcome(
            records: records, skew: records.skew(partitionCount: count), lag: lag)
    }

    // MARK: What is hot

    /// Records behind, in all partitions together.
    var lagSum: Int64 { lag.values.reduce(0, +) }

    /// Keys that have more than half of what a partition should have, found in bounded memory.
    var heavyKeys: Set<String> {
        var keys = SpaceSaving<String>(capacity: 1_000)
        for record in records {
            if let key = record.key { keys.add(key) }
        }
        let most = Double(records.count) / Double(skew.parts.count) / 2
        return Set(keys.heaviest(50).filter { Double($0.countMin) > most }.map(\.element))
    }

    /// How many partitions hold records of these events.
    func partitionCount(of isChosen: (Int) -> Bool) -> Int {
        Set(records.filter { isChosen($0.number) }.map(\.partition)).count
    }

    /// Whether each event is there once.
    func isComplete(_ count: Int) -> Bool {
        records.map(\.number).sorted().elementsEqual(0..<count)
    }
}

extension ProducerRecord {
    /// The record of an event.
    init(_ event: DesignEvent, to topic: String, key: String?) {
        self.init(
            topic: topic, key: key, value: DesignEngine.Read.value(of: event),
            timestamp: event.time)
    }
}
