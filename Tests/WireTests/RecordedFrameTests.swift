import TallyTestSupport
import TallyWire
import Testing

@Suite("Recorded frames")
struct RecordedFrameTests {
    @Test("each recorded frame is read to its end and written again as it was")
    func roundTrip() throws {
        #expect(RecordedFrame.all.count == 650)
        for frame in RecordedFrame.all {
            do {
                let written = try frame.writtenAgain()
                #expect(written == frame.bytes, "\(frame)")
            } catch {
                Issue.record("\(frame): \(error)\n\(Hex.text(frame.bytes))")
            }
        }
    }

    @Test("headers say what was recorded, and each response answers a request")
    func headers() throws {
        struct Exchange: Hashable {
            let connection: Int
            let correlationID: Int32
        }
        var requests: [Exchange: RequestHeader] = [:]
        var responses = 0
        for frame in RecordedFrame.all {
            let exchange = Exchange(
                connection: frame.connection, correlationID: frame.correlationID)
            if frame.isRequest {
                let header = try WireMessages.decodeRequest(frame.bytes).header
                #expect(header.api == frame.api)
                #expect(header.apiVersion == frame.version)
                #expect(header.correlationID == frame.correlationID)
                #expect(header.clientID == frame.client)
                requests[exchange] = header
            } else {
                let request = try #require(requests[exchange], "\(frame)")
                let header = try WireMessages.decodeResponse(
                    frame.bytes, api: request.api, version: request.apiVersion
                ).header
                #expect(header.correlationID == frame.correlationID)
                responses += 1
            }
        }
        #expect(requests.count + responses == 650)
    }

    @Test("what is supported goes up to what the recorded broker offers, or one further")
    func ranges() throws {
        let frame = try #require(
            RecordedFrame.all.first { !$0.isRequest && $0.api == .apiVersions && $0.version == 3 })
        let response = try ResponseFrame<ApiVersionsResponse>(
            decoding: frame.bytes, version: 3)
        let offered = Dictionary(
            uniqueKeysWithValues: response.body.apiKeys.map { ($0.apiKey, $0) })
        for (type, _) in EveryMessage.versions {
            let (api, versions) = (type.api, type.versions)
            let range = try #require(offered[api])
            #expect(range.minVersion <= versions.lowerBound)
            // The broker was built before 4.0 was released, which brought these.
            let newer: Set<APIKey> = [
                .produce, .metadata, .describeGroups, .endTransaction, .transactionOffsetCommit,
                .consumerGroupDescribe,
            ]
            let further: Int16 = newer.contains(api) ? 1 : 0
            #expect(range.maxVersion + further == versions.upperBound, "API \(api.rawValue)")
        }
    }
}
