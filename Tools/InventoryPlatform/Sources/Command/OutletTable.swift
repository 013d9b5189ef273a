import Tally

/// What a connector reports of the outlet's own inventory table, in Debezium's shape.
enum OutletTable {
    /// A snapshot of three rows, then an insertion, an update and a deletion, one change that a
    /// connector sends again, and one that nobody can understand.
    static func changes(at time: Timestamp) -> [ProducerRecord] {
        var sequence: Int64 = 1000
        func record(_ op: String, _ item: String, _ before: Int?, _ after: Int?) -> ProducerRecord {
            sequence += 8
            return Self.record(op, item, before, after, sequence, at: time)
        }
        let updated: ProducerRecord
        var all = [
            record("r", "22423", nil, 14), record("r", "85123A", nil, 40),
            record("r", "84879", nil, 3), record("c", "47566", nil, 25),
        ]
        updated = record("u", "22423", 14, 9)
        all += [updated, record("d", "84879", 3, nil)]
        all.append(tombstone("84879"))
        all.append(updated)
        all.append(record("x", "22423", 9, 8))
        return all
    }

    private static func key(_ item: String) -> String {
        "{\"warehouse\":\"Outlet\",\"item\":\"\(item)\"}"
    }

    private static func tombstone(_ item: String) -> ProducerRecord {
        ProducerRecord(topic: "inventory-changes", key: key(item), value: nil)
    }

    private static func record(
        _ op: String, _ item: String, _ before: Int?, _ after: Int?, _ sequence: Int64,
        at time: Timestamp
    ) -> ProducerRecord {
        func row(_ quantity: Int?) -> String {
            guard let quantity else { return "null" }
            return "{\"warehouse\":\"Outlet\",\"item\":\"\(item)\",\"quantity\":\(quantity)}"
        }
        let source = """
            {"connector":"postgresql","db":"outlet","table":"inventory","lsn":\(sequence),\
            "ts_ms":\(time.rawValue)}
            """
        return ProducerRecord(
            topic: "inventory-changes", key: key(item),
            value: """
                {"before":\(row(before)),"after":\(row(after)),"source":\(source),\
                "op":"\(op)","ts_ms":\(time.rawValue)}
                """)
    }
}
