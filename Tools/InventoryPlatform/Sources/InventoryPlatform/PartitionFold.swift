import Tally

/// A state that is made of one partition's records, from the first one on.
///
/// That is all the storage most services need: what they know is in the log, and whoever takes a
/// partition over reads it there. Only committed records count, and a log does not change, so two
/// folds up to the same offset are equal, wherever and whenever they are made.
///
/// Thread rule: one task at a time.
struct PartitionFold<State> {
    let engine: Engine
    let topic: String
    let partition: Int32
    var state: State
    /// All records below this offset are in the state, none at or above it.
    private(set) var nextOffset: Offset?
    private let apply: (inout State, borrowing RecordView) throws -> Void

    init(
        _ engine: Engine, topic: String, partition: Int32, _ initial: State,
        apply: @escaping (inout State, borrowing RecordView) throws -> Void
    ) {
        self.engine = engine
        self.topic = topic
        self.partition = partition
        self.state = initial
        self.apply = apply
    }

    /// Takes in everything that is in the log now. Returns when that is done; where a transaction
    /// is under way that has written below the log's end, when it has ended.
    mutating func catchUp() async throws {
        let log = try engine.describeTopic(topic).partitions[Int(partition)]
        try await advance(to: log.highWatermark)
    }

    /// Takes in the records below `end` and no others.
    mutating func advance(to end: Offset) async throws {
        let start = try start()
        nextOffset = start
        guard start < end else { return }
        var reading = ConsumerConfiguration(start: .offset(start))
        reading.isolation = .readCommitted
        let consumer = try engine.consumer(of: topic, partitions: [partition], reading)
        for try await records in consumer {
            try take(records, below: end)
            if records.nextOffset >= end { return }
        }
    }

    /// Takes in records that somebody else has fetched: those that come next.
    mutating func take(_ records: ConsumedRecords, below end: Offset? = nil) throws {
        try records.forEachRecord { record in
            if let end, record.offset >= end { return }
            try apply(&state, record)
        }
        nextOffset = min(records.nextOffset, end ?? records.nextOffset)
    }

    private func start() throws -> Offset {
        if let nextOffset { return nextOffset }
        let description = try engine.describeTopic(topic)
        let logStart = description.partitions[Int(partition)].logStart
        // A compacted log has the newest record of each key, and that is all that is wanted of it.
        guard logStart == .zero || description.configuration.isCompacted else {
            throw PlatformError.historyMissing(
                partition: "\(topic)-\(partition)", logStart: logStart.rawValue)
        }
        return logStart
    }
}
