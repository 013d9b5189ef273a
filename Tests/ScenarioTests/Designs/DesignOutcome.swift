import Tally
import TallyCommand
import Testing

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
        try await place.send(
            events.map { ProducerRecord($0, to: design.topic, key: key($0)) },
            batchBytes: design.batchBytes, partitioner: partitioner)
        let outcome = try await of(design.topic, in: place)
        try await place.close()
        return outcome
    }

    /// Looks at a topic as it is now.
    static func of(_ topic: String, in place: DesignEngine) async throws -> DesignOutcome {
        let count = try place.partitions(of: topic).count
        let records = try await place.records(of: topic)
        let lag = try await place.lag(
            of: topic, atRecordsPerPartition: pace(records.count, partitionCount: count))
        return DesignOutcome(
            records: records, skew: records.skew(partitionCount: count), lag: lag)
    }

    // MARK: What is hot

    /// Fails the test unless one partition has too much, and readers that are fast enough for the
    /// whole topic fall behind there, and in none that has its fair share or less.
    func expectHot() throws {
        #expect(skew.ratio > DesignsTests.ratioHot)
        let busiest = try #require(skew.busiest)
        let pace = Self.pace(records.count, partitionCount: skew.parts.count)
        #expect(lag[busiest.index] == Int64(busiest.recordCount - pace))
        #expect(lag.values.max() == lag[busiest.index])
        for part in skew.parts where part.recordCount <= records.count / skew.parts.count {
            #expect(lag[part.index] == 0)
        }
    }

    /// Fails the test unless the partitions are nearly even, and nobody is behind.
    func expectEven() {
        #expect(skew.ratio < DesignsTests.ratioNearFair)
        #expect(lag.count == skew.parts.count && lagSum == 0)
    }

    /// The busiest partition's share and the records behind, for people.
    var summary: String {
        "\((skew.busiestShare * 1000).rounded() / 10) %, lag \(lagSum)"
    }

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
