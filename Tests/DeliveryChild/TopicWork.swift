import Tally

/// From topic to topic: for each order a reservation and an invoice, and the position.
struct TopicWork {
    let engine: Engine

    private static let input = TopicPartition(topic: "orders", partition: 0)

    /// - Parameter isTransaction: whether outputs and position are one transaction.
    func run(through count: Int, isTransaction: Bool) async throws {
        let offsets = try await engine.committedOffsets(ofGroup: "shipping")
        if offsets[Self.input]?.offset == Offset(Int64(count)) { return }
        var reading = GroupConsumerConfiguration()
        reading.reading.reset = .earliest
        reading.reading.isolation = .readCommitted
        reading.reading.fetchBytesMax = 1
        let consumer = try engine.consumer(group: "shipping", topics: ["orders"], reading)
        var writing = ProducerConfiguration()
        if isTransaction { writing.transactionalID = "shipping" }
        let producer = try engine.producer(writing)
        if isTransaction { try await producer.initTransactions() }
        for try await orders in consumer {
            if isTransaction {
                try await producer.withTransaction { producer in
                    try await send(orders, producer)
                    try await producer.sendOffsets(behind: orders, of: consumer)
                }
            } else {
                try await send(orders, producer)
                try await consumer.commit(orders)
            }
            if orders.nextOffset == Offset(Int64(count)) { break }
        }
        try await consumer.close()
    }

    private func send(_ orders: ConsumedRecords, _ producer: Producer) async throws {
        var values: [String] = []
        try orders.forEachRecord { values.append($0.valueText ?? "") }
        for value in values {
            for topic in ["reservations", "invoices"] {
                _ = try await producer.send(key: "order-\(value)", value: value, to: topic)
            }
        }
    }
}
