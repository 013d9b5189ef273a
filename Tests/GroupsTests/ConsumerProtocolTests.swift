import TallyGroups
import TallyTestSupport
import Testing

@Suite("Bytes of consumers")
struct ConsumerProtocolTests {
    static func recorded() throws -> [(kind: String, client: String, bytes: [UInt8])] {
        let text = String(decoding: try Fixtures.bytes("consumer-protocol.tsv"), as: UTF8.self)
        return text.split(separator: "\n").map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            let digits = Array(fields[2])
            let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(digits[$0...$0 + 1]), radix: 16)
            }
            return (String(fields[0]), String(fields[1]), bytes)
        }
    }

    @Test("what real clients sent is read, and written again to the byte")
    func clients() throws {
        let all = try Self.recorded()
        #expect(all.count >= 15)
        for (kind, client, bytes) in all {
            if kind == "subscription" {
                let subscription = try ConsumerSubscription(decoding: bytes)
                #expect(try subscription.encoded() == bytes, "\(client)")
                #expect(!subscription.topics.isEmpty)
            } else if !bytes.isEmpty {
                let assignment = try ConsumerAssignment(decoding: bytes)
                #expect(try assignment.encoded() == bytes, "\(client)")
            }
        }
    }

    @Test("the example of FORMAT.md")
    func example() throws {
        let subscription = ConsumerSubscription(
            topics: ["stock"], ownedPartitions: [.init(topic: "stock", partitions: [0, 2])],
            generation: 7)
        let bytes: [UInt8] = [
            0, 3, 0, 0, 0, 1, 0, 5, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0xff, 0xff, 0xff, 0xff,
            0, 0, 0, 1, 0, 5, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2,
            0, 0, 0, 7, 0xff, 0xff,
        ]
        #expect(try subscription.encoded() == bytes)
        #expect(try ConsumerSubscription(decoding: bytes) == subscription)
    }

    @Test("what the sticky assignor's user data says is taken where the fields say nothing")
    func userData() throws {
        let join = try #require(
            try Self.recorded().first { $0.kind == "subscription" && $0.bytes.count > 100 })
        var subscription = try ConsumerSubscription(decoding: join.bytes)
        let owned = subscription.owned
        #expect(owned.partitions.count == 7 && owned.generation == 1)
        subscription.version = 0
        subscription = try ConsumerSubscription(decoding: try subscription.encoded())
        #expect(subscription.ownedPartitions == [])
        #expect(subscription.owned == owned)
    }

    @Test("a newer version is read as the newest that is known; one below 0 is refused")
    func versions() throws {
        let subscription = ConsumerSubscription(topics: ["a"], rackID: "r")
        var bytes = try subscription.encoded() + [1, 2, 3]
        bytes[1] = 9
        let read = try ConsumerSubscription(decoding: bytes)
        #expect(read.version == 9 && read.topics == ["a"] && read.rackID == "r")
        bytes[0] = 0x80
        #expect(throws: ConsumerProtocolError.unknownVersion(-0x7ff7)) {
            try ConsumerSubscription(decoding: bytes)
        }
        #expect(throws: ConsumerProtocolError.textTooLong(byteCount: 40_000)) {
            try ConsumerSubscription(topics: [String(repeating: "a", count: 40_000)]).encoded()
        }
    }

    @Test("cut and changed bytes give a value or an error, at every place")
    func damaged() throws {
        var generator = SeededGenerator.fromEnvironment()
        for (kind, _, bytes) in try Self.recorded() where !bytes.isEmpty {
            for length in 0..<bytes.count where kind == "subscription" {
                #expect(throws: ConsumerProtocolError.self) {
                    try ConsumerSubscription(decoding: Array(bytes[..<length]))
                }
            }
            for _ in 0..<200 {
                var changed = bytes
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    changed[Int.random(in: 0..<changed.count, using: &generator)] =
                        .random(in: 0...255, using: &generator)
                }
                if let read = try? ConsumerSubscription(decoding: changed) {
                    _ = read.owned
                    _ = try read.encoded()
                }
                if let read = try? ConsumerAssignment(decoding: changed) { _ = try read.encoded() }
            }
        }
        #expect(throws: ConsumerProtocolError.negativeCount(position: 2, count: -2)) {
            try ConsumerAssignment(decoding: [0, 0, 0xff, 0xff, 0xff, 0xfe])
        }
        #expect(throws: ConsumerProtocolError.notText(position: 6)) {
            try ConsumerSubscription(decoding: [0, 0, 0, 0, 0, 1, 0, 1, 0xff, 0, 0, 0, 0])
        }
        #expect(throws: ConsumerProtocolError.truncated(position: 6, needed: 2)) {
            try ConsumerSubscription(decoding: [0, 0, 0x7f, 0xff, 0xff, 0xff])
        }
    }
}
