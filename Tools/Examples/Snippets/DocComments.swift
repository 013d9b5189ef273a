import GRDB
import Logging
import ServiceLifecycle
import Tally
import TallyKafka
import TallyServer
import TallyStateStore

// What doc comments show, each in a function that gives it what it takes for granted: a test looks
// for every snippet here, so that none is shown that does not compile. Nothing calls them.

// MARK: Serving

func serve(_ engine: Engine) async throws {
    let server = try TallyServer(engine: engine)
    let address = try await server.start()
    print(address)
}

// MARK: Backends

func backend(_ engine: Engine) async throws {
    let backend = Backend.embedded(engine)
    let producer = try backend.producer()
    _ = try await producer.send(key: "GOT-01:SKU-101", value: "received 12", to: "stock")
    try await producer.flush()
}

func backend(_ engine: Engine, brokers: String?) async throws {
    let backend =
        if let brokers { try Backend.kafka(bootstrap: brokers) } else { Backend.embedded(engine) }
    let producer = try backend.producer()
    _ = try await producer.send(key: "GOT-01:SKU-101", value: "received 12", to: "stock")
    let consumer = try backend.consumer(
        assigning: try await backend.partitions(ofTopic: "stock"), .init(end: .currentEnd))
    for try await record in consumer.records {
        print(record.partition, record.offset, record.keyText ?? "", record.valueText ?? "")
    }
}

func transactions(_ backend: Backend) async throws {
    var configuration = ProducerConfiguration()
    configuration.transactionalID = "invoicing-1"
    let invoices = try backend.producer(configuration)
    try await invoices.initTransactions()
    let orders = try backend.consumer(group: "invoicing", topics: ["orders"])
    for try await records in orders {
        try await invoices.withTransaction { invoices in
            try records.forEachRecord { record in
                try invoices.enqueue(topic: "invoices", key: nil, value: record.value)
            }
            try await invoices.sendOffsets(behind: records, of: orders)
        }
    }
}

// MARK: Consuming

func consumer(_ engine: Engine) async throws {
    let consumer = try engine.consumer(assigning: [
        TopicPartition(topic: "orders", partition: 0),
        TopicPartition(topic: "returns", partition: 0),
    ])
    for try await records in consumer {
        try records.forEachRecord { record in
            print(records.topic, record.offset, record.valueText ?? "")
        }
        try await engine.commitOffsets(consumer.offsetsToCommit, ofGroup: "audit")
    }
}

func groupConsumer(_ engine: Engine) async throws {
    let consumer = try engine.consumer(group: "billing", topics: ["orders"])
    for try await records in consumer {
        try records.forEachRecord { record in
            print(record.offset, record.valueText ?? "")
        }
        try await consumer.commit(records)
    }
}

func records(
    _ consumer: GroupConsumer, isTimeToCommit: Bool,
    charge: (_ key: String?, _ value: String?) async throws -> Void
) async throws {
    for try await record in consumer.records {
        try await charge(record.keyText, record.valueText)
        if isTimeToCommit { try await consumer.commit(record) }
    }
}

func consumerService(
    _ engine: Engine, _ producer: Producer, _ consumer: GroupConsumer, _ logger: Logger
) async throws {
    let billing = ConsumerService(consumer) { records in
        try records.forEachRecord { record in
            print(record.offset, record.valueText ?? "")
        }
    }
    // The last one is shut down first.
    let services: [any Service] = [engine, ProducerService(producer), billing]
    try await ServiceGroup(
        services: services, gracefulShutdownSignals: [.sigterm], logger: logger
    ).run()
}

func positionTable(_ engine: Engine, _ database: DatabaseQueue) async throws {
    let positions = try PositionTable(in: database, consumer: "billing")
    var configuration = GroupConsumerConfiguration()
    configuration.onRebalance = { consumer, change in
        if case .assigned(let partitions) = change {
            try await positions.take(partitions, for: consumer)
        }
    }
    let consumer = try engine.consumer(group: "billing", topics: ["orders"], configuration)
    for try await records in consumer {
        try await positions.apply(records, for: consumer) { db in
            try records.forEachRecord { record in
                try db.execute(
                    sql: "INSERT INTO bill (what) VALUES (?)", arguments: [record.valueText])
            }
        }
    }
}

// MARK: Producing

func taskExecutor(_ engine: Engine, _ producer: Producer, _ orders: [ProducerRecord]) {
    Task(executorPreference: engine.taskExecutor) {
        for order in orders { _ = try await producer.send(order) }
    }
}

func partitioner(isLarge: @escaping @Sendable (RawSpan?) -> Bool) -> ProducerConfiguration {
    var configuration = ProducerConfiguration()
    // Orders of large customers have the last partition, and nobody else's.
    configuration.partitioner = Partitioner { record in
        guard record.topic == "orders" else { return nil }
        let last = record.partitionCount - 1
        return isLarge(record.key) ? last : record.partitionByKey(among: last)
    }
    return configuration
}

func recordBatchBuilder(
    key: RawSpan, value: RawSpan, now: Timestamp, send: (RawSpan) throws -> Void
) throws {
    var builder = try RecordBatchBuilder(codec: .lz4)
    try builder.append(key: key, value: value, timestamp: now)
    try send(builder.finish())
    builder.reset()
}

// MARK: State

func sqliteState() -> EngineConfiguration {
    var configuration = EngineConfiguration()
    configuration.state = .sqlite
    return configuration
}
