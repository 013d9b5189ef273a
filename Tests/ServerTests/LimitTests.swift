import Tally
import TallyServer
import TallyWire
import Testing

@Suite("Clients that are broken or hostile", .timeLimit(.minutes(10)))
struct LimitTests {
    /// Whether the server has ended a connection; it waits for that.
    private func isEnded(_ client: WireClient) async -> Bool { await client.frame() == nil }

    /// The server answers.
    private func expectAlive(_ served: ServedEngine) async throws {
        let client = try await served.connect()
        #expect(try await client.ask(ApiVersionsRequest(), version: 3).errorCode == .none)
    }

    @Test("bytes that are no request end the connection, and nothing else")
    func garbage() async throws {
        try await ServedEngine.with { served in
            let http = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
            let cases: [[UInt8]] = [
                http, [0xff, 0xff, 0xff, 0xff], [0, 0, 0, 0], [0, 0, 0, 4, 1, 2, 3, 4],
                WireClient.framed([UInt8](repeating: 0xff, count: 40)),
                WireClient.framed([0, 3, 0, 12, 0, 0, 0, 1] + [UInt8](repeating: 9, count: 30)),
                // An API that there is not, and a version that there is not.
                WireClient.framed([0, 99, 0, 0, 0, 0, 0, 1, 0, 0]),
                WireClient.framed([0, 0, 0, 99, 0, 0, 0, 1, 0, 0]),
            ]
            for bytes in cases {
                let client = try await served.connect()
                try await client.send(bytes: bytes)
                #expect(await isEnded(client), "\(bytes.prefix(12))")
            }
            try await expectAlive(served)
        }
    }

    @Test("an ApiVersions request that is too new is answered in version 0")
    func newVersions() async throws {
        try await ServedEngine.with { served in
            let client = try await served.connect()
            try await client.send(frame: [0, 18, 0, 99, 0, 0, 0, 5, 0xff, 0xff])
            let frame = try #require(await client.frame())
            let response = try ResponseFrame<ApiVersionsResponse>(decoding: frame, version: 0)
            #expect(response.header.correlationID == 5)
            #expect(response.body.errorCode == .unsupportedVersion)
            #expect(response.body.apiKeys.map(\.apiKey) == [.apiVersions])
            // And the connection goes on.
            let known = try await client.ask(ApiVersionsRequest(), version: 3)
            #expect(known.apiKeys.contains { $0.apiKey == .produce && $0.maxVersion == 12 })
            #expect(known.apiKeys.count >= 36)
        }
    }

    @Test("a request above socket.request.max.bytes is not read")
    func largeRequests() async throws {
        try await ServedEngine.with(server: { $0.requestBytesMax = 2048 }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            let fits = try batch([String(repeating: "x", count: 1500)])
            #expect(try await client.produce(fits, to: "t").errorCode == .none)
            let large = try batch([String(repeating: "x", count: 3000)])
            try await client.post(ProduceRequest(large, to: "t"), version: 9)
            #expect(await isEnded(client))
            #expect(try served.engine.describeTopic("t").partitions[0].logEnd == Offset(1))
        }
    }

    @Test("a request of very many small things is not read into memory")
    func manyElements() async throws {
        try await ServedEngine.with { served in
            var request = FindCoordinatorRequest()
            request.coordinatorKeys = Array(repeating: "", count: 300_000)
            let client = try await served.connect()
            try await client.post(request, version: 4)
            #expect(await isEnded(client))
            request.coordinatorKeys = Array(repeating: "g", count: 1000)
            let other = try await served.connect()
            #expect(try await other.ask(request, version: 4).coordinators.count == 1)
        }
    }

    @Test("large requests wait for their place in queued.max.request.bytes")
    func queuedBytes() async throws {
        try await ServedEngine.with(server: {
            $0.requestBytesMax = 100_000
            $0.queuedRequestBytesMax = 100_000
            $0.requestReceiveMilliseconds = 400
        }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let (slow, quick) = (try await served.connect(), try await served.connect())
            // Takes all there is, and does not come.
            try await slow.send(bytes: [0, 1, 0x86, 0xa0, 0, 0])
            try await Task.sleep(for: .milliseconds(50))
            let large = try batch([String(repeating: "x", count: 50_000)])
            let start = ContinuousClock.now
            #expect(try await quick.produce(large, to: "t").errorCode == .none)
            // It came to its turn when the slow one was given up.
            #expect(ContinuousClock.now - start >= .milliseconds(200))
            #expect(await isEnded(slow))
            // Small ones do not wait.
            let third = try await served.connect()
            try await third.send(bytes: [0, 1, 0x86, 0xa0, 0, 0])
            try await expectAlive(served)
        }
    }

    @Test("a request that does not get on, and keeps others waiting, is given up soon")
    func holdingUp() async throws {
        try await ServedEngine.with(server: {
            $0.requestBytesMax = 100_000
            $0.queuedRequestBytesMax = 100_000
        }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let (slow, quick) = (try await served.connect(), try await served.connect())
            try await slow.send(bytes: [0, 1, 0x86, 0xa0, 0, 0])
            try await Task.sleep(for: .milliseconds(50))
            let large = try batch([String(repeating: "x", count: 50_000)])
            let start = ContinuousClock.now
            #expect(try await quick.produce(large, to: "t").errorCode == .none)
            // Long before the minute that a request may take when nobody waits.
            #expect(ContinuousClock.now - start < .seconds(30))
            #expect(await isEnded(slow))
        }
    }

    @Test("connections.max.idle.ms ends a silent connection, and not one that waits")
    func idle() async throws {
        try await ServedEngine.with(server: { $0.connectionsIdleMillisecondsMax = 300 }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let idle = try await served.connect()
            #expect(await isEnded(idle))
            // On a busy machine it may be idle for too long before it has asked.
            var fetched: FetchResponse?
            var waiting = idle
            for _ in 0..<20 where fetched == nil {
                waiting = try await served.connect()
                fetched = try? await waiting.ask(FetchRequest("t", maxWait: 1500), version: 12)
            }
            #expect(try #require(fetched).errorCode == .none)
            #expect(await isEnded(waiting))
        }
    }

    @Test("a request that does not get on ends its connection")
    func halfRequest() async throws {
        try await ServedEngine.with(server: { $0.requestReceiveMilliseconds = 200 }) { served in
            for bytes: [UInt8] in [[0, 0], [0, 0, 0, 50, 0, 0]] {
                let half = try await served.connect()
                try await half.send(bytes: bytes)
                #expect(await isEnded(half))
            }
            try await expectAlive(served)
        }
    }

    @Test("a client that reads no answers is ended, and is not read ahead of")
    func deafClient() async throws {
        try await ServedEngine.with(server: { $0.responseSendMilliseconds = 300 }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            for _ in 0..<40 { try await expectProduced(served) }
            let deaf = try await served.connect()
            try await deaf.setReading(false)
            for _ in 0..<20 {
                // It may be ended before all are sent.
                try? await deaf.post(FetchRequest("t", maxBytes: 50 << 20), version: 12)
            }
            while served.server.connectionCount > 0 {
                try await Task.sleep(for: .milliseconds(20))
            }
            try await expectAlive(served)
        }
    }

    private func expectProduced(_ served: ServedEngine) async throws {
        let client = try await served.connect()
        let large = try batch([String(repeating: "x", count: 500_000)])
        #expect(try await client.produce(large, to: "t").errorCode == .none)
        await client.close()
    }

    @Test("max.connections and max.connections.per.ip")
    func connections() async throws {
        for limit in 0..<2 {
            try await ServedEngine.with(server: {
                if limit == 0 { $0.connectionsMax = 3 } else { $0.connectionsPerAddressMax = 3 }
            }) { served in
                var clients: [WireClient] = []
                for _ in 0..<3 {
                    let client = try await served.connect()
                    _ = try await client.ask(ApiVersionsRequest(), version: 3)
                    clients.append(client)
                }
                let fourth = try await served.connect()
                #expect(await isEnded(fourth))
                await clients.removeLast().close()
                while served.server.connectionCount > 2 {
                    try await Task.sleep(for: .milliseconds(5))
                }
                try await expectAlive(served)
            }
        }
    }

    @Test("a client that hangs up, or dies, does not leave its fetch waiting")
    func hangingUp() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let partition = try served.engine.partition(0, of: "t")
            for dies in [false, true] {
                let client = try await served.connect()
                try await client.post(FetchRequest("t", maxWait: .max), version: 12)
                while partition.arrivals.count == 0 { try await Task.sleep(for: .milliseconds(5)) }
                if dies { try await client.reset() } else { await client.close() }
                while served.server.connectionCount > 0 {
                    try await Task.sleep(for: .milliseconds(5))
                }
                // Nobody waits at the partition any more.
                while partition.arrivals.count > 0 { try await Task.sleep(for: .milliseconds(5)) }
            }
        }
    }

    @Test("a shutdown answers those who wait, and lets nobody in")
    func shutdown() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let (idle, waiting) = (try await served.connect(), try await served.connect())
            try await waiting.post(FetchRequest("t", maxWait: .max), version: 12)
            try await Task.sleep(for: .milliseconds(100))
            await served.server.shutdown()
            let response = try await waiting.response(to: FetchRequest.self, version: 12)
            #expect(response.responses[0].partitions[0].errorCode == .none)
            #expect(await isEnded(waiting))
            #expect(await isEnded(idle))
            await #expect(throws: (any Error).self) { try await served.connect() }
        }
    }

    @Test("a shutdown waits for those who read nothing as long as it is told to, and no longer")
    func lateReader() async throws {
        try await ServedEngine.with(server: { $0.shutdownMilliseconds = 300 }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            for _ in 0..<40 { try await expectProduced(served) }
            let deaf = try await served.connect()
            try await deaf.setReading(false)
            try await deaf.post(FetchRequest("t", maxBytes: 50 << 20), version: 12)
            try await Task.sleep(for: .milliseconds(200))
            let start = ContinuousClock.now
            await served.server.shutdown()
            #expect(ContinuousClock.now - start >= .milliseconds(300))
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(served.server.connectionCount == 0)
        }
    }

    @Test("an address that others reach needs to be allowed; settings are checked")
    func configuration() async throws {
        try await ServedEngine.with { served in
            var remote = ServerConfiguration()
            (remote.host, remote.port) = ("0.0.0.0", 0)
            let refused = try TallyServer(engine: served.engine, configuration: remote)
            await #expect(throws: ServerError.remoteAddress(host: "0.0.0.0")) {
                try await refused.start()
            }
            remote.allowsRemoteClients = true
            let allowed = try TallyServer(engine: served.engine, configuration: remote)
            #expect(try await allowed.start().port > 0)
            await #expect(throws: ServerError.alreadyStarted) { try await allowed.start() }
            await allowed.shutdown()
            var taken = ServerConfiguration()
            taken.port = served.address.port
            let second = try TallyServer(engine: served.engine, configuration: taken)
            await #expect(throws: ServerError.self) { try await second.start() }
            var small = ServerConfiguration()
            small.queuedRequestBytesMax = 10
            #expect(throws: ServerError.self) {
                try TallyServer(engine: served.engine, configuration: small)
            }
        }
    }

    @Test("the authorizer is asked for every request")
    func authorizer() async throws {
        struct NoFetching: Authorizer {
            func allows(_ principal: Principal, api: Int16) -> Bool {
                principal == .anonymous && api != 1
            }
        }
        try await ServedEngine.with(server: { $0.authorizer = NoFetching() }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            #expect(try await client.produce(batch(["a"]), to: "t").errorCode == .none)
            try await client.post(FetchRequest("t"), version: 12)
            #expect(await isEnded(client))
        }
    }
}
