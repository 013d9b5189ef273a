import Tally

let engine = try await Engine.open(at: "shop-data")
try await engine.ensureTopic("stock", partitions: 4)
let sent = try await engine.producer()
    .send(key: "GOT-01:SKU-101", value: "received 12", to: "stock")
print("stored in partition \(sent.partition) at offset \(sent.offset)")
for try await records in try engine.consumer(of: "stock", .init(end: .currentEnd)) {
    try records.forEachRecord { record in
        print(record.offset, record.keyText ?? "", record.valueText ?? "")
    }
}
try await engine.close()
