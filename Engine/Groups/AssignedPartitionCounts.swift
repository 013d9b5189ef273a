/// What an assignment was computed from: how many partitions each topic had. A static leader puts
/// it beside its own assignment, and finds it there after a restart.
///
/// The bytes are user data of an assignment, which no other client looks at; see FORMAT.md.
struct AssignedPartitionCounts: Hashable, Sendable {
    /// By topic; those that did not exist are missing.
    let counts: [String: Int]

    init(_ counts: [String: Int]) { self.counts = counts }

    /// Nil where the bytes are somebody else's.
    init?(decoding bytes: [UInt8]) {
        var reader = ConsumerProtocolReader(bytes)
        do {
            let topics = try reader.array {
                (reader) throws(ConsumerProtocolError) in
                (try reader.text(), Int(try reader.int32()))
            }
            counts = Dictionary(topics, uniquingKeysWith: { $1 })
        } catch {
            return nil
        }
    }

    func encoded() throws(ConsumerProtocolError) -> [UInt8] {
        var writer = ConsumerProtocolWriter()
        writer.count(counts.count)
        for (topic, count) in counts.sorted(by: { $0.key < $1.key }) {
            try writer.nullableText(topic)
            writer.count(count)
        }
        return writer.bytes
    }
}
