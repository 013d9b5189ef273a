import GRDB
import Tally
import TallyStateStore

// Orders into rows of the application's own database: each order one bill, whatever dies.
var settings = EngineConfiguration()
settings.state = .sqlite
let engine = try await Engine.open(at: "shop-data", configuration: settings)
try await engine.ensureTopic("orders", partitions: 4)
_ = try await engine.producer().send(key: "order 1", value: "2 pieces", to: "orders")

let database = try DatabaseQueue(path: "billing.db")
try database.write { db in
    try db.execute(sql: "CREATE TABLE IF NOT EXISTS bill (number INTEGER PRIMARY KEY, what TEXT)")
}
let positions = try PositionTable(in: database, consumer: "billing")
var configuration = GroupConsumerConfiguration()
configuration.onRebalance = { consumer, change in
    guard case .assigned(let partitions) = change else { return }
    try await positions.take(partitions, for: consumer)
}
let consumer = try engine.consumer(group: "billing", topics: ["orders"], configuration)
for try await orders in consumer {
    // The rows and the position behind the orders: one transaction of SQLite.
    try await positions.apply(orders, for: consumer) { db in
        try orders.forEachRecord { order in
            try db.execute(
                sql: "INSERT INTO bill (what) VALUES (?)", arguments: [order.valueText])
        }
    }
    if consumer.lag.values.allSatisfy({ $0 == 0 }) { break }
}
try await consumer.close()
print("bills:", try database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM bill")! })
try await engine.close()
