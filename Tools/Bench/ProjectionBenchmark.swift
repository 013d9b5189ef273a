import Tally
import TallyImport
import TallyStateStore

/// The inventory projection of the real data, SQLite commits included.
struct ProjectionBenchmark {
    let directory: String
    let file: String
    let runs: Int

    func measure() async throws -> BenchmarkLine {
        let engine = try await Engine.open(at: directory + "/projection")
        let topic = "inventory-events"
        try await engine.createTopic(
            topic, partitions: 12,
            configuration: TopicConfiguration([
                "retention.ms": "-1", "segment.ms": "\(Int64.max)", "tally.durability": "buffered",
            ]))
        var configuration = ProducerConfiguration()
        configuration.compression = .lz4
        configuration.batchBytes = 64 << 10
        configuration.lingerMilliseconds = 20
        let producer = try engine.producer(configuration)
        var rows = try ImportRows(
            source: ByteInput(path: file),
            options: ImportOptions(
                key: "{Country}:{StockCode}", delta: "-{Quantity}", time: "{InvoiceDate}"))
        while try fill(producer, topic, &rows) { try await producer.waitForRoom() }
        try await producer.flush()
        let database = try StateDatabase(directory: directory + "/projection")
        try database.remember(topic: topic)
        var rates: [Double] = []
        for _ in 0..<runs {
            let start = ContinuousClock.now
            let done = try await InventoryProjector(engine: engine, database: database)
                .rebuild(topic: topic)
            rates.append(Double(done.records) / ((ContinuousClock.now - start) / .seconds(1)))
        }
        try await engine.close()
        return BenchmarkLine(
            name: "projection of the real data", codec: "lz4",
            perSecond: rates.sorted()[rates.count / 2], unit: "events", target: "1 M events/s")
    }

    /// Hands rows over until the producer is full; false at the end of the table.
    private func fill(
        _ producer: Producer, _ topic: String, _ rows: inout ImportRows
    ) throws -> Bool {
        while !producer.isFull {
            guard let row = try rows.next() else { return false }
            try producer.enqueue(
                topic: topic, key: row.key, value: row.value,
                timestamp: Timestamp(milliseconds: row.timestampMilliseconds))
        }
        return true
    }
}
