import TallyTestSupport
import TallyWire
import Testing

@Suite("Bytes that are no message")
struct CorruptionTests {
    /// What was done to the bytes, the message that they were, and what must be found.
    struct Corruption: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let type: any WireMessage.Type
        let version: Int16
        let hex: String
        let error: WireError

        init(
            _ testDescription: String, _ type: any WireMessage.Type, _ version: Int16,
            _ hex: String, _ reason: WireError.Reason, _ field: String, at position: Int
        ) {
            self.testDescription = testDescription
            self.type = type
            self.version = version
            self.hex = hex
            error = WireError(reason, field: field, position: position)
        }
    }

    /// FindCoordinator version 6: a byte, texts, tags. Sound: 00 02 02 61 00.
    static let flexible: [Corruption] = {
        func make(
            _ what: String, _ hex: String, _ reason: WireError.Reason, _ field: String, _ at: Int
        ) -> Corruption {
            Corruption(what, FindCoordinatorRequest.self, 6, hex, reason, field, at: at)
        }
        let keys = "coordinatorKeys"
        return [
            make("nothing", "", .truncated(needed: 1, available: 0), "keyType", 0),
            make("no count", "00", .truncated(needed: 1, available: 0), keys, 1),
            make("half a varint", "00 82", .truncated(needed: 1, available: 0), keys, 1),
            make(
                "four billion texts", "00 ffffffff0f 00",
                .countTooLarge(count: 4_294_967_294, available: 1), keys, 1),
            make(
                "one text too many", "00 04 01 00",
                .countTooLarge(count: 3, available: 2), keys, 1),
            make("33 bits", "00 ffffffff1f 00", .malformedVarint, keys, 1),
            make("six bytes of varint", "00 808080808000", .malformedVarint, keys, 1),
            make("a null array", "00 00 00", .unexpectedNull, keys, 1),
            make("a null text", "00 02 00 00", .unexpectedNull, keys, 2),
            make(
                "a text of 2 GiB", "00 02 ffffffff07 61 00",
                .tooLong(2_147_483_646), keys, 2),
            make(
                "a text of 32,768 bytes", "00 02 818002" + String(repeating: "61", count: 32768),
                .tooLong(32768), keys, 2),
            make(
                "a text that ends too late", "00 02 04 61 00",
                .truncated(needed: 3, available: 2), keys, 2),
            make("a text that is not UTF-8", "00 02 02 ff 00", .notText, keys, 2),
            make("half a character", "00 02 02 c3 00", .notText, keys, 2),
            make("a surrogate", "00 02 04 eda080 00", .notText, keys, 2),
            make("no tags", "00 02 02 61", .truncated(needed: 1, available: 0), "tags", 4),
            make(
                "more tags than bytes", "00 02 02 61 02 05 00",
                .countTooLarge(count: 2, available: 2), "tags", 5),
            make(
                "the same tag twice", "00 02 02 61 02 05 00 05 00",
                .tagOutOfOrder(tag: 5, after: 5), "tags", 7),
            make(
                "tags out of order", "00 02 02 61 02 05 00 04 00",
                .tagOutOfOrder(tag: 4, after: 5), "tags", 7),
            make(
                "a tagged field beyond the end", "00 02 02 61 01 05 03 aabb",
                .truncated(needed: 3, available: 2), "tags", 5),
            make("a byte behind it", "00 02 02 61 00 00", .trailingBytes(1), "message", 5),
        ]
    }()

    static let plain: [Corruption] = [
        Corruption(
            "a null text", HeartbeatRequest.self, 0, "ffff 00000001 0001 62", .unexpectedNull,
            "groupID", at: 0),
        Corruption(
            "a text of length -2", HeartbeatRequest.self, 0, "fffe 00000001 0001 62",
            .negativeLength(-2), "groupID", at: 0),
        Corruption(
            "a text of length -2 where null is possible", HeartbeatRequest.self, 3,
            "0001 61 00000001 0001 62 fffe", .negativeLength(-2), "groupInstanceID", at: 10),
        Corruption(
            "a text that is too long", HeartbeatRequest.self, 0, "0001 61 00000001 7fff 62",
            .truncated(needed: 32767, available: 1), "memberID", at: 7),
        Corruption(
            "two billion groups", DeleteGroupsRequest.self, 0, "7fffffff 0000",
            .countTooLarge(count: 2_147_483_647, available: 2), "groupNames", at: 0),
        Corruption(
            "the smallest count", DeleteGroupsRequest.self, 0, "80000000",
            .negativeLength(-2_147_483_648), "groupNames", at: 0),
        Corruption(
            "a null array", DeleteGroupsRequest.self, 0, "ffffffff", .unexpectedNull,
            "groupNames", at: 0),
        Corruption(
            "bytes of a length below zero", SyncGroupResponse.self, 0, "0000 fffffff0",
            .negativeLength(-16), "assignment", at: 2),
        Corruption(
            "bytes beyond the end", SyncGroupResponse.self, 0, "0000 00000003 0000",
            .truncated(needed: 3, available: 2), "assignment", at: 2),
        Corruption(
            "null before the version that has it", MetadataRequest.self, 0, "ffffffff",
            .unexpectedNull, "topics", at: 0),
    ]

    static let structures: [Corruption] = [
        Corruption(
            "neither null nor a structure", DescribeTopicPartitionsRequest.self, 0,
            "01 000007d0 02 00", .badPresence(2), "cursor", at: 5),
        Corruption(
            "a tagged field with bytes too many", FetchRequest.self, 12,
            "ffffffff 00000000 00000000 7fffffff 00 00000000 ffffffff 01 01 01 01 00 03 02 61 62",
            .taggedSizeMismatch(tag: 0, unread: 1), "tags", at: 29),
        Corruption(
            "a tagged field that wants more than its size", FetchRequest.self, 12,
            "ffffffff 00000000 00000000 7fffffff 00 00000000 ffffffff 01 01 01 01 00 01 02 61 62",
            .truncated(needed: 1, available: 0), "clusterID", at: 31),
    ]

    @Test(
        "each corruption is found where it is", arguments: flexible + plain + structures)
    func corruption(_ corruption: Corruption) {
        func decode<Message: WireMessage>(_ type: Message.Type) throws(WireError) {
            _ = try Message(decoding: Hex.bytes(corruption.hex), version: corruption.version)
        }
        #expect(throws: corruption.error) { try decode(corruption.type) }
    }

    @Test("the message that the table corrupts is sound")
    func sound() throws {
        let request = try FindCoordinatorRequest(
            decoding: Hex.bytes("00 02 02 61 00"), version: 6)
        #expect(request.coordinatorKeys == ["a"])
        let largest = Hex.bytes("00 02 02 61 01 ffffffff0f 00")
        #expect(
            try FindCoordinatorRequest(decoding: largest, version: 6).unknownTags.fields
                == [.init(tag: .max, bytes: [])])
    }

    @Test("a recorded frame is an error wherever it is cut off")
    func truncation() throws {
        for frame in RecordedFrame.oneOfEach {
            let behind =
                try frame.isRequest
                ? WireMessages.decodeRequest(frame.bytes).trailingBytes.count : 0
            for count in 0..<frame.bytes.count - behind
            where (try? frame.writtenAgain(from: Array(frame.bytes.prefix(count)))) != nil {
                Issue.record("\(frame) cut to \(count) bytes")
            }
        }
    }

    @Test("recorded frames with bits flipped and lengths made up give a value or an error, soon")
    func fuzz() throws {
        var random = SeededGenerator.fromEnvironment()
        let frames = RecordedFrame.all
        let lengths: [[UInt8]] = [
            [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0xff, 0xff, 0xff, 0xff],
            [0xff, 0xff, 0xff, 0xff, 0x0f], [0x7f, 0xff], [0xff, 0xfe], [0], [0x80, 0x80],
        ]
        let clock = ContinuousClock()
        var (values, errors) = (0, 0)
        var slowest = Duration.zero
        for _ in 0..<20_000 {
            let frame = frames[Int.random(in: frames.indices, using: &random)]
            var bytes = frame.bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let position = Int.random(in: bytes.indices, using: &random)
                if Bool.random(using: &random) {
                    bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                } else {
                    let length = lengths[Int.random(in: lengths.indices, using: &random)]
                    let end = min(position + length.count, bytes.count)
                    bytes.replaceSubrange(position..<end, with: length)
                }
            }
            let time = clock.measure {
                do {
                    // What is read can be written, and is the same when it is read again.
                    let written = try frame.writtenAgain(from: bytes)
                    #expect(try frame.writtenAgain(from: written) == written)
                    values += 1
                } catch { errors += 1 }
            }
            slowest = max(slowest, time)
        }
        #expect(values > 0 && errors > 0)
        #expect(slowest < .seconds(5), "the slowest frame of \(frames.count) took \(slowest)")
    }
}
