import Tally
import TallyStateStore

// Orders in, reservations out: each order once, whatever dies in between.
var configuration = EngineConfiguration()
configuration.state = .sqlite
let engine = try await Engine.open(at: "shop-data", configuration: configuration)
try await engine.ensureTopic("orders", partitions: 4)
try await engine.ensureTopic("reservations", partitions: 4)
_ = try await engine.producer().send(key: "GOT-01:SKU-101", value: "2 pieces", to: "orders")

var reading = GroupConsumerConfiguration()
reading.reading.reset = .earliest
reading.reading.isolation = .readCommitted
let consumer = try engine.consumer(group: "fulfilment", topics: ["orders"], reading)

var writing = ProducerConfiguration()
writing.transactionalID = "fulfilment-1"
let producer = try engine.producer(writing)
try await producer.initTransactions()

for try await orders in consumer {
    try await producer.withTransaction { producer in
        try orders.forEachRecord { order in
            print("reserving \(order.valueText ?? "nothing") of \(order.keyText ?? "nothing")")
            try producer.enqueue(topic: "reservations", key: order.key, value: order.value)
        }
        try await producer.sendOffsets(behind: orders, of: consumer)
    }
    if consumer.lag.values.allSatisfy({ $0 == 0 }) { break }
}
try await consumer.close()
try await engine.close()
