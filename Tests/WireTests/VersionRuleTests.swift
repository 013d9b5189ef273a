import TallyWire
import Testing

@Suite("What a version cannot say")
struct VersionRuleTests {
    @Test("a value that matters is refused, one that does not is dropped")
    func fields() throws {
        var request = FetchRequest()
        request.rackID = "a"
        #expect(try FetchRequest(decoding: request.encoded(version: 10), version: 10).rackID == "")
        #expect(try FetchRequest(decoding: request.encoded(version: 11), version: 11) == request)

        var offsets = OffsetFetchRequest()
        offsets.requireStable = true
        #expect(throws: WireError(.notInVersion(6), field: "requireStable", position: 2)) {
            try offsets.encoded(version: 6)
        }
        offsets.requireStable = false
        #expect(throws: Never.self) { try offsets.encoded(version: 6) }
    }

    @Test("the value that is not refused is the field's default, whatever that is")
    func defaults() throws {
        var request = MetadataRequest()
        #expect(request.allowAutoTopicCreation)
        #expect(throws: Never.self) { try request.encoded(version: 3) }
        request.allowAutoTopicCreation = false
        #expect(
            throws: WireError(.notInVersion(3), field: "allowAutoTopicCreation", position: 4)
        ) { try request.encoded(version: 3) }
    }

    @Test("null is refused before the version that has it")
    func null() throws {
        var request = MetadataRequest()
        request.topics = nil
        #expect(throws: WireError(.unexpectedNull, field: "topics", position: 0)) {
            try request.encoded(version: 0)
        }
        #expect(try request.encoded(version: 1) == [0xff, 0xff, 0xff, 0xff])
    }

    @Test("tagged fields follow the same rule")
    func tags() throws {
        var request = FetchRequest()
        request.clusterID = "dropped"
        #expect(throws: Never.self) { try request.encoded(version: 11) }
        request.replicaState.replicaID = 3
        for version: Int16 in [11, 14] {
            #expect {
                try request.encoded(version: version)
            } throws: { error in
                (error as? WireError)?.reason == .notInVersion(version)
                    && (error as? WireError)?.field == "replicaState"
            }
        }
        let read = try FetchRequest(decoding: request.encoded(version: 15), version: 15)
        #expect(read == request)

        var heartbeat = HeartbeatRequest()
        heartbeat.unknownTags = UnknownTags([.init(tag: 0, bytes: [1])])
        #expect(throws: WireError(.notInVersion(3), field: "tags", position: 10)) {
            try heartbeat.encoded(version: 3)
        }
    }

    @Test("unknown tags are written in order, and never a tag twice")
    func tagOrder() throws {
        var heartbeat = HeartbeatRequest()
        heartbeat.unknownTags = UnknownTags([.init(tag: 9, bytes: []), .init(tag: 3, bytes: [])])
        #expect(try heartbeat.encoded(version: 4).suffix(5) == [2, 3, 0, 9, 0])
        heartbeat.unknownTags.fields.append(.init(tag: 3, bytes: [1]))
        #expect(throws: WireError(.tagNotUnique(3), field: "tags", position: 7)) {
            try heartbeat.encoded(version: 4)
        }
    }

    @Test("a text is at most 32,767 bytes long")
    func longText() throws {
        var request = HeartbeatRequest()
        request.groupID = String(repeating: "a", count: 32767)
        for version: Int16 in [0, 4] {
            let bytes = try request.encoded(version: version)
            #expect(try HeartbeatRequest(decoding: bytes, version: version) == request)
        }
        request.groupID += "a"
        for version: Int16 in [0, 4] {
            #expect(throws: WireError(.tooLong(32768), field: "groupID", position: 0)) {
                try request.encoded(version: version)
            }
        }
    }

    @Test("errors and APIs have Kafka's names and numbers")
    func names() {
        #expect(ErrorCode.unknownServerError.rawValue == -1)
        #expect(ErrorCode.unknownServerError.description == "UNKNOWN_SERVER_ERROR")
        #expect(ErrorCode.none.rawValue == 0)
        #expect(ErrorCode.unsupportedVersion.rawValue == 35)
        #expect(ErrorCode.unsupportedVersion.description == "UNSUPPORTED_VERSION")
        #expect(ErrorCode.fencedInstanceID.rawValue == 82)
        #expect(ErrorCode.producerFenced.description == "PRODUCER_FENCED")
        #expect(ErrorCode.unknownTopicID.rawValue == 100)
        #expect(ErrorCode.unknownTopicID.description == "UNKNOWN_TOPIC_ID")
        #expect(ErrorCode.rebootstrapRequired.rawValue == 129)
        #expect(ErrorCode.rebootstrapRequired.description == "REBOOTSTRAP_REQUIRED")
        #expect(ErrorCode(rawValue: 999).description == "error 999")
        #expect(ErrorCode(rawValue: -32768).description == "error -32768")
        #expect(APIKey.describeTopicPartitions.rawValue == 75)
    }

    @Test("errors say where and what")
    func descriptions() {
        #expect(
            WireError(.truncated(needed: 3, available: 1), field: "host", position: 12).description
                == "host at byte 12 of a frame: needs 3 bytes, 1 are left")
    }
}
