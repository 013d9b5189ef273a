import TallyTestSupport
import TallyWire
import Testing

@Suite("Every version of every message")
struct EveryVersionTests {
    /// A message of one version in which each field is set, written by another program.
    struct ForeignMessage {
        let api: APIKey
        let version: Int16
        let isRequest: Bool
        let bytes: [UInt8]
    }

    static func foreignMessages() throws -> [ForeignMessage] {
        try Fixtures.bytes("kafka-wire/every-field.tsv").split(separator: UInt8(ascii: "\n")).map {
            let cells = String(decoding: $0, as: UTF8.self).split(
                separator: "\t", omittingEmptySubsequences: false)
            try #require(cells.count == 4)
            return ForeignMessage(
                api: APIKey(rawValue: try #require(Int16(cells[0]))),
                version: try #require(Int16(cells[1])), isRequest: cells[2] == "request",
                bytes: Hex.bytes(cells[3]))
        }
    }

    @Test("another program writes the same bytes for a message with every field set")
    func foreign() throws {
        let messages = try Self.foreignMessages()
        for foreign in messages {
            let type = EveryMessage.type(foreign.api, isRequest: foreign.isRequest)
            guard let type else {
                Issue.record("API \(foreign.api.rawValue) is not known")
                continue
            }
            try Self.compare(type, foreign)
        }
        // Each version but the oldest of WriteTxnMarkers, which Kafka 4 no longer has.
        #expect(messages.count == EveryMessage.versions.count - 2)
    }

    static func compare<Message: WireMessage>(
        _ type: Message.Type, _ foreign: ForeignMessage
    ) throws {
        let message = try FieldFiller.filled(type, version: foreign.version)
        let written = try message.encoded(version: foreign.version)
        #expect(
            written == foreign.bytes,
            """
            \(type) version \(foreign.version)
            here  \(Hex.text(written))
            there \(Hex.text(foreign.bytes))
            """)
        #expect(try Message(decoding: foreign.bytes, version: foreign.version) == message)
    }

    @Test("what is written is read again, with tagged fields that nobody knows")
    func roundTrip() throws {
        for (type, version) in EveryMessage.versions { try Self.roundTrip(type, version) }
    }

    static func roundTrip<Message: WireMessage>(_ type: Message.Type, _ version: Int16) throws {
        let message = try FieldFiller.filled(type, version: version, addsUnknownTags: true)
        let bytes = try message.encoded(version: version)
        #expect(try Message(decoding: bytes, version: version) == message)
        #expect(message != Message() || bytes.isEmpty, "nothing is set in \(type) \(version)")
    }

    @Test("a message with nothing set can be said in every version")
    func defaults() throws {
        for (type, version) in EveryMessage.versions { try Self.defaults(type, version) }
    }

    static func defaults<Message: WireMessage>(_ type: Message.Type, _ version: Int16) throws {
        let bytes = try Message().encoded(version: version)
        #expect(try Message(decoding: bytes, version: version) == Message())
    }

    @Test("a message is an error wherever it is cut off")
    func truncation() throws {
        for (type, version) in EveryMessage.versions { try Self.truncate(type, version) }
    }

    static func truncate<Message: WireMessage>(_ type: Message.Type, _ version: Int16) throws {
        let message = try FieldFiller.filled(type, version: version)
        let bytes = try message.encoded(version: version)
        for count in bytes.indices {
            // Without a macro, which takes longer than the reading, 100,000 times.
            do {
                _ = try Message(decoding: Array(bytes.prefix(count)), version: version)
                Issue.record("\(type) version \(version): \(count) of \(bytes.count) bytes")
            } catch {}
        }
        #expect(throws: WireError(.trailingBytes(1), field: "message", position: bytes.count)) {
            try Message(decoding: bytes + [0], version: version)
        }
    }

    @Test("a version below or above what is known is an error that says so")
    func unsupported() throws {
        for (type, _) in EveryMessage.versions {
            let range = type.versions
            Self.refuse(type, range.lowerBound - 1)
            Self.refuse(type, range.upperBound + 1)
            #expect(WireMessages.isSupported(type.api, version: range.lowerBound))
            #expect(!WireMessages.isSupported(type.api, version: range.upperBound + 1))
        }
        #expect(!WireMessages.isSupported(APIKey(rawValue: 5), version: 0))
    }

    static func refuse<Message: WireMessage>(_ type: Message.Type, _ version: Int16) {
        let error = WireError(
            .unsupportedVersion(api: Message.api.rawValue, version: version),
            field: "apiVersion", position: 0)
        #expect(throws: error) { try Message().encoded(version: version) }
        #expect(throws: error) { try Message(decoding: [], version: version) }
    }
}
