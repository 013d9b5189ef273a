#if Etcd
    import Foundation
    import NIOCore
    import NIOPosix
    import Synchronization
    import TallyReplication
    import TallyTestSupport
    import Testing

    @testable import TallyEtcd

    @Suite("What etcd answers, and what is no answer of etcd", .timeLimit(.minutes(2)))
    struct EtcdAnswerTests {
        private final class Requests: Sendable {
            let count = Mutex(0)
        }

        /// A server that gives the same answer to every request.
        private final class FixedAnswer: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer
            private let text: String
            private let requests: Requests?
            init(_ text: String, _ requests: Requests?) {
                self.text = text
                self.requests = requests
            }
            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                // Head and body may come one after the other; a body ends with a brace.
                guard unwrapInboundIn(data).readableBytesView.last == UInt8(ascii: "}") else {
                    return
                }
                requests?.count.withLock { $0 += 1 }
                context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            }
        }

        private func server(
            _ body: String, status: String = "200 OK", counting requests: Requests? = nil
        ) async throws -> any Channel {
            let text =
                "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Connection: close\r\n\r\n\(body)"
            return try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(FixedAnswer(text, requests))
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
        }

        private func errors(of channel: any Channel) async throws -> [CoordinationError] {
            var configuration = EtcdConfiguration(
                endpoints: ["http://127.0.0.1:\(channel.localAddress?.port ?? 0)"])
            configuration.callMillisecondsMax = 2000
            let store = try EtcdCoordinationStore(configuration)
            let put = try CoordinationTransaction(operations: [.put(key: "a", value: [])])
            var errors: [CoordinationError] = []
            func note(_ body: () async throws(CoordinationError) -> Void) async {
                do throws(CoordinationError) {
                    try await body()
                } catch {
                    errors.append(error)
                }
            }
            await note { () async throws(CoordinationError) in
                _ = try await store.read(prefix: "")
            }
            await note { () async throws(CoordinationError) in
                _ = try await store.commit(put)
            }
            await note { () async throws(CoordinationError) in
                _ = try await store.grantLease(seconds: 1)
            }
            await note { () async throws(CoordinationError) in
                _ = try await store.keepAlive(LeaseID(1))
            }
            await store.close()
            try await channel.close()
            return errors
        }

        @Test(
            "what is no etcd is a typed error",
            arguments: [
                "", "hello", "[]", "null", "{}", #"{"header":{}}"#, #"{"header":{"revision":"x"}}"#,
                #"{"header":{"revision":"-1"},"succeeded":true}"#,
                #"{"header":{"revision":"5"},"kvs":[{"key":"!!!"}],"succeeded":1}"#,
            ])
        func garbage(body: String) async throws {
            let errors = try await errors(of: server(body))
            #expect(errors.count >= 3, "\(errors)")
            for error in errors {
                switch error {
                case .corrupt, .leaseNotFound: break
                default: Issue.record("\(error)")
                }
            }
        }

        @Test("a refusal is told with its reason")
        func refusal() async throws {
            let denied = #"{"error":"etcdserver: permission denied","code":7}"#
            let refusals = try await errors(of: server(denied, status: "403 Forbidden"))
            #expect(refusals.count == 4)
            for error in refusals {
                guard case .unavailable(let reason) = error, reason.contains("permission denied")
                else {
                    Issue.record("\(error)")
                    continue
                }
            }
        }

        @Test(
            "a refusal of what may have been done all the same is no refusal",
            arguments: [
                (#"{"error":"etcdserver: leader changed","code":14}"#, "503 Service Unavailable"),
                // etcd carries the write out that is too much for its space, and says so then.
                (#"{"error":"mvcc: database space exceeded","code":8}"#, "429 Too Many Requests"),
                (#"{"error":"context canceled","code":1}"#, "499 Client Closed Request"),
            ])
        func perhaps(answer: String, status: String) async throws {
            let errors = try await errors(of: server(answer, status: status))
            guard errors.count == 4, case .unavailable(let reason) = errors[0],
                case .outcomeUnknown = errors[1], case .outcomeUnknown = errors[2]
            else {
                Issue.record("\(errors)")
                return
            }
            #expect(answer.contains(reason.split(separator: ": ").last ?? "?"))
        }

        @Test("what was sent is not sent to another member, but for reads; what was not, is")
        func sentOnce() async throws {
            let busy = #"{"error":"etcdserver: request timed out","code":14}"#
            let (first, second) = (Requests(), Requests())
            let channels = [
                try await server(busy, status: "503 Service Unavailable", counting: first),
                try await server(
                    #"{"header":{"revision":"7"},"succeeded":true}"#, counting: second),
            ]
            let endpoints = channels.map { "http://127.0.0.1:\($0.localAddress?.port ?? 0)" }
            let put = try CoordinationTransaction(operations: [.put(key: "a", value: [])])
            func store(_ endpoints: [String]) throws -> EtcdCoordinationStore {
                try EtcdCoordinationStore(EtcdConfiguration(endpoints: endpoints))
            }
            let writer = try store(endpoints)
            let error = await #expect(throws: CoordinationError.self) {
                try await writer.commit(put)
            }
            guard case .outcomeUnknown? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(first.count.withLock { $0 } == 1 && second.count.withLock { $0 } == 0)
            // From now on the other is asked first.
            #expect(try await writer.commit(put) == .success(.init(7)))
            #expect(first.count.withLock { $0 } == 1 && second.count.withLock { $0 } == 1)
            await writer.close()
            let reader = try store(endpoints)
            #expect(try await reader.read(prefix: "").revision == .init(7))
            #expect(first.count.withLock { $0 } == 2 && second.count.withLock { $0 } == 2)
            await reader.close()
            // Nobody listens at the first.
            try await channels[0].close()
            let other = try store(endpoints)
            #expect(try await other.commit(put) == .success(.init(7)))
            await other.close()
            try await channels[1].close()
        }

        @Test("numbers are texts or numbers, and what is left out is zero")
        func numbers() throws {
            func decode(_ text: String) throws -> Int64 {
                try JSONDecoder().decode(EtcdNumber.self, from: Data(text.utf8)).value
            }
            #expect(try decode(#""9223372036854775807""#) == .max)
            #expect(try decode("12") == 12)
            #expect(try decode(#""18446744073709551615""#) == -1)
            for text in [#""""#, #""1.5""#, "1.5", "true", #""99999999999999999999""#] {
                #expect(throws: DecodingError.self) { try decode(text) }
            }
            let response = try JSONDecoder().decode(
                EtcdStreamed<Etcd.WatchResponse>.self, from: Data(#"{"result":{}}"#.utf8))
            #expect(response.result?.events == nil && response.error == nil)
        }

        @Test("a key that is none of ours is an error")
        func keys() throws {
            let keys = EtcdKeys(root: "tally/")
            #expect(try keys.key(Data("tally/members/1".utf8)) == "members/1")
            #expect(keys.end(ofPrefix: "") == Data("tally0".utf8))
            #expect(keys.end(ofPrefix: "a~") == Data("tally/a\u{7F}".utf8))
            for key in ["", "tally", "tally/", "other/1", "tally/ä", "tally/a b"] {
                #expect(throws: CoordinationError.self) { try keys.key(Data(key.utf8)) }
            }
        }

        @Test("whatever comes in a watch, it is a value or an error")
        func fuzz() throws {
            let sound = Array(
                #"""
                {"result":{"header":{"revision":"3"},"events":[{"kv":{"key":"dGFsbHkvYQ==",
                "mod_revision":"2","value":"dg=="}},{"type":"DELETE","kv":{"key":"dGFsbHkvYg==",
                "mod_revision":"3"}}]}}
                """#.utf8)
            var generator = TallyTestSupport.SeededGenerator.fromEnvironment()
            var decoded = 0
            for round in 0..<2000 {
                var bytes = sound
                if round > 0 {
                    for _ in 0..<Int.random(in: 1...3, using: &generator) {
                        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                            in: 32...126, using: &generator)
                    }
                }
                guard
                    let message = try? JSONDecoder().decode(
                        EtcdStreamed<Etcd.WatchResponse>.self, from: Data(bytes))
                else { continue }
                for event in message.result?.events ?? [] {
                    if (try? EtcdKeys(root: "tally/").change(event)) != nil { decoded += 1 }
                }
            }
            #expect(decoded > 2)
        }

        @Test(
            "an endpoint that cannot be one is refused",
            arguments: ["", "127.0.0.1:2379", "ftp://a:1", "http://", "http:// a"])
        func endpoints(endpoint: String) {
            #expect(throws: CoordinationError.self) {
                try EtcdCoordinationStore(EtcdConfiguration(endpoints: [endpoint]))
            }
            #expect(throws: CoordinationError.self) {
                try EtcdCoordinationStore(EtcdConfiguration(endpoints: []))
            }
            #expect(throws: CoordinationError.invalidKey("")) {
                try EtcdCoordinationStore(
                    EtcdConfiguration(endpoints: ["http://a:1"], keyPrefix: ""))
            }
        }
    }
#endif
