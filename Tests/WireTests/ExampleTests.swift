import Foundation
import TallyTestSupport
import TallyWire
import Testing

/// Bytes worked out by hand from the definition of the protocol, field by field.
@Suite("Examples worked by hand")
struct ExampleTests {
    static let heartbeatVersion3 = """
        000c 0003 00000005 0002 6d65
        0001 67 00000003 0001 6d ffff
        """
    static let heartbeatVersion4 = """
        000c 0004 00000005 0002 6d65 00
        02 67 00000003 02 6d 00 00
        """

    @Test("a heartbeat, plain and flexible: the example of FORMAT.md")
    func heartbeat() throws {
        var request = HeartbeatRequest()
        request.groupID = "g"
        request.generationID = 3
        request.memberID = "m"
        for (version, text) in [(3, Self.heartbeatVersion3), (4, Self.heartbeatVersion4)] {
            let header = RequestHeader(
                HeartbeatRequest.self, version: Int16(version), correlationID: 5, clientID: "me")
            let frame = RequestFrame(header: header, body: request)
            #expect(try frame.encoded() == Hex.bytes(text))
            #expect(try RequestFrame(decoding: Hex.bytes(text)) == frame)
        }
        let page = Fixtures.repositoryURL.appendingPathComponent("Engine/Wire/FORMAT.md")
        guard let page = try? String(contentsOf: page, encoding: .utf8) else { return }
        for line in (Self.heartbeatVersion3 + "\n" + Self.heartbeatVersion4).split(separator: "\n")
        {
            #expect(page.contains(line))
        }
    }

    @Test("a marker says in a field of Tally's own where it stands among the others")
    func markerOrder() throws {
        let bytes = Hex.bytes(
            """
            001b 0001 00000002 0001 63 00
            02 0000000000000007 0003 01 02 02 74 02 00000004 00 00000005
            01 904e 0c 0000000000000102 00000009 00
            """)
        let frame = try RequestFrame<WriteTransactionMarkersRequest>(decoding: bytes)
        var marker = frame.body.markers[0]
        #expect(marker.order == .init(attempt: 258, leaderEpoch: 9))
        #expect(try frame.encoded() == bytes)
        // Where it is not as long as that, nobody knows what it says.
        marker.unknownTags.fields[0].bytes.removeLast()
        #expect(marker.order == nil)
        marker.order = .init(attempt: -1, leaderEpoch: .min)
        #expect(marker.order == .init(attempt: -1, leaderEpoch: .min))
        #expect(marker.unknownTags.fields.count == 1)
        marker.order = nil
        #expect(marker.unknownTags == UnknownTags())
    }

    @Test("a batch of records is a slice of the frame it came in")
    func produce() throws {
        let bytes = Hex.bytes(
            """
            0000 000b 00000002 0001 63 00
            00 ffff 000003e8 02 02 74 02 00000004 04 aabbcc 00 00 00
            """)
        let frame = try RequestFrame<ProduceRequest>(decoding: bytes)
        #expect(frame.header.clientID == "c")
        #expect(frame.body.transactionalID == nil)
        #expect(frame.body.acks == -1)
        #expect(frame.body.timeoutMilliseconds == 1000)
        let topic = try #require(frame.body.topics.first)
        #expect(topic.name == "t")
        let partition = try #require(topic.partitions.first)
        #expect(partition.index == 4)
        #expect(partition.records == [0xaa, 0xbb, 0xcc])
        #expect(partition.records?.startIndex == 28)
        #expect(try frame.encoded() == bytes)
    }

    @Test("a known tagged field stands behind its tag and size, and an unknown one is kept")
    func fetch() throws {
        let bytes = Hex.bytes(
            """
            00000000 0000 00000000 02 02 74 02
            00000000 0000 0000000000000005 0000000000000005 0000000000000000 00 ffffffff 01
            02 00 0d 00000003 0000000000000004 00 0a 02 beef
            00 00
            """)
        let response = try FetchResponse(decoding: bytes, version: 12)
        let topic = try #require(response.responses.first)
        #expect(topic.topic == "t")
        let partition = try #require(topic.partitions.first)
        #expect(partition.highWatermark == 5)
        #expect(partition.abortedTransactions == nil)
        #expect(partition.records == [])
        #expect(partition.divergingEpoch.epoch == 3)
        #expect(partition.divergingEpoch.endOffset == 4)
        #expect(partition.unknownTags.fields == [.init(tag: 10, bytes: [0xbe, 0xef])])
        #expect(try response.encoded(version: 12) == bytes)
    }

    @Test("the oldest markers of transactions, which no other program here writes")
    func markers() throws {
        let request = Hex.bytes(
            """
            00000001 0000000000000007 0001 01
            00000001 0001 74 00000001 00000002 00000009
            """)
        let marker = try #require(
            try WriteTransactionMarkersRequest(decoding: request, version: 0).markers.first)
        #expect(marker.producerID == 7)
        #expect(marker.producerEpoch == 1)
        #expect(marker.isCommit)
        #expect(marker.topics.first?.name == "t")
        #expect(marker.topics.first?.partitions == [2])
        #expect(marker.coordinatorEpoch == 9)

        let response = Hex.bytes(
            "00000001 0000000000000007 00000001 0001 74 00000001 00000002 0030")
        let producer = try #require(
            try WriteTransactionMarkersResponse(decoding: response, version: 0).markers.first)
        #expect(producer.producerID == 7)
        #expect(producer.topics.first?.partitions.first?.partitionIndex == 2)
        #expect(
            producer.topics.first?.partitions.first?.errorCode == .invalidTransactionState)
    }

    @Test("an ApiVersions request from the future is answered in version 0")
    func unsupportedVersion() throws {
        // What comes behind the first eight bytes is not looked at.
        let bytes = Hex.bytes("0012 0063 00000007 dead")
        let start = try RequestFrameStart(decoding: bytes)
        #expect(start.api == .apiVersions)
        #expect(start.apiVersion == 99)
        #expect(
            try start.unsupportedVersionResponse()
                == Hex.bytes("00000007 0023 00000001 0012 0000 0004"))
        let error = WireError(
            .unsupportedVersion(api: 18, version: 99), field: "apiVersion", position: 0)
        #expect(throws: error) { try WireMessages.decodeRequest(bytes) }
        #expect(throws: error) { try RequestFrame<ApiVersionsRequest>(decoding: bytes) }
    }

    @Test("an API without a type, or another than is asked for, is not read")
    func otherAPI() throws {
        let unknown = Hex.bytes("7fff 0000 00000007 0000")
        #expect(
            throws: WireError(
                .unsupportedVersion(api: 32767, version: 0), field: "apiVersion", position: 0)
        ) { try WireMessages.decodeRequest(unknown) }
        let heartbeat = Hex.bytes(Self.heartbeatVersion4)
        #expect(
            throws: WireError(
                .unsupportedVersion(api: 12, version: 4), field: "apiVersion", position: 0)
        ) { try RequestFrame<JoinGroupRequest>(decoding: heartbeat) }
    }

    @Test("librdkafka's request for all topics is read, with the bytes it has too many")
    func trailingBytes() throws {
        // The null of the topics takes four bytes instead of one.
        let bytes = Hex.bytes(
            "0003 000c 00000004 000a 6c696272646b61666b61 00 00000000 01 00 00")
        #expect(RecordedFrame.all.contains { $0.bytes == bytes })
        let frame = try RequestFrame<MetadataRequest>(decoding: bytes)
        #expect(frame.body.topics == nil)
        #expect(frame.trailingBytes == [1, 0, 0])
        #expect(try frame.encoded() == bytes)
        // Nobody else may do so.
        #expect(throws: WireError(.trailingBytes(1), field: "message", position: 23)) {
            try RequestFrame<HeartbeatRequest>(decoding: Hex.bytes(Self.heartbeatVersion4) + [0])
        }
    }
}
