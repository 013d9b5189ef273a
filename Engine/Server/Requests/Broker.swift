import Logging
import Metrics
import Tally
import TallyCluster
import TallyWire

/// Answers the requests of all clients, as a Kafka broker does: alone in its cluster, where it
/// leads everything, or as one of its members.
///
/// What each request does stands in a file of its own, as an extension. Thread rule: tasks that
/// prefer the engine's threads, since logs are called right there, and block; requests of different
/// connections at the same time.
final class Broker: Sendable {
    let engine: Engine
    let configuration: ServerConfiguration
    /// Where clients are told to connect to.
    let address: ServerAddress
    /// This broker's number.
    let nodeID: Int32
    let clusterID: String
    /// The cluster that the engine is a member of; nil where it stands alone.
    let cluster: ClusterNode?
    private let handlers: [APIKey: Handler]
    let syncs: BackgroundSyncs

    /// What is known of a request beside itself.
    struct Context: Sendable {
        var client: ClientIdentity
        /// What the client calls itself.
        var clientID: String
        /// The version of the request.
        var version: Int16
    }

    /// What becomes of a request.
    enum Outcome: Sendable {
        case answer(Answer)
        /// Nobody waits for an answer.
        case nothing
        /// The connection is ended: it sends what nobody understands.
        case end(String)
    }

    /// How requests of one kind are read and answered.
    struct Handler: Sendable {
        var versions: ClosedRange<Int16>
        var metrics: ServerMetrics.PerRequest
        var answer: @Sendable (Broker, inout [UInt8], ClientIdentity) async throws -> Outcome
    }

    init(
        engine: Engine, cluster: ClusterNode?, configuration: ServerConfiguration,
        address: ServerAddress
    ) {
        self.engine = engine
        self.cluster = cluster
        self.configuration = configuration
        self.address = address
        let identity = engine.identity
        nodeID = identity.nodeID
        clusterID = identity.clusterID
        handlers =
            cluster == nil
            ? Self.allHandlers : Self.allHandlers.merging(Self.memberHandlers) { $1 }
        syncs = BackgroundSyncs(on: engine.workers)
    }

    /// Which requests are answered, with their versions, in the order of their numbers.
    var supported: [(api: APIKey, versions: ClosedRange<Int16>)] {
        handlers.map { ($0.key, $0.value.versions) }.sorted { $0.api.rawValue < $1.api.rawValue }
    }

    /// Answers a frame, whose bytes mean nothing any more then.
    ///
    /// - Returns: what becomes of it, and what to tell the time it took; nil where it was refused.
    func answer(
        _ frame: inout [UInt8], from client: ClientIdentity
    ) async -> (Outcome, ServerMetrics.PerRequest?) {
        let handler: Handler
        switch self.handler(of: frame, from: client) {
        case .success(let found): handler = found
        case .failure(let refusal): return (refusal.outcome, nil)
        }
        handler.metrics.count.increment()
        handler.metrics.bytes.record(frame.count)
        do {
            return (try await handler.answer(self, &frame, client), handler.metrics)
        } catch {
            handler.metrics.errors.increment()
            return (.end("\(error)"), handler.metrics)
        }
    }

    /// Why a frame has no handler, and what becomes of it.
    private struct Refusal: Error {
        var outcome: Outcome
    }

    /// What answers a frame, where the client may send it.
    private func handler(
        of frame: [UInt8], from client: ClientIdentity
    ) -> Result<Handler, Refusal> {
        func end(_ reason: String) -> Result<Handler, Refusal> {
            .failure(Refusal(outcome: .end(reason)))
        }
        let start: RequestFrameStart
        do {
            start = try RequestFrameStart(decoding: frame)
        } catch {
            return end("\(error)")
        }
        ServerMetrics.bytesIn.increment(by: frame.count)
        guard let handler = handlers[start.api] else {
            return end("there is no answer to requests of API \(start.api.rawValue)")
        }
        guard handler.versions.contains(start.apiVersion) else {
            if start.api == .apiVersions, let bytes = try? start.unsupportedVersionResponse() {
                return .failure(Refusal(outcome: .answer(Answer(bytes))))
            }
            return end("version \(start.apiVersion) of API \(start.api.rawValue) is not supported")
        }
        guard configuration.authorizer.allows(client.principal, api: start.api.rawValue) else {
            ServerMetrics.denials.increment()
            return end("\(client.principal.name) may not send API \(start.api.rawValue)")
        }
        return .success(handler)
    }
}

extension Broker.Handler {
    /// Reads requests of a type and writes their responses.
    ///
    /// - Parameter body: nil where nobody waits for an answer.
    init<Request: WireRequest>(
        _ name: String,
        _ body:
            @escaping @Sendable (Broker, Request, Broker.Context) async throws ->
            Request.Response?
    ) {
        self.init(
            name,
            inPlace: { (broker, frame: inout RequestFrame<Request>, _, context) in
                try await body(broker, frame.body, context)
            })
    }

    /// The same, for requests whose bytes are worked on where they lie.
    ///
    /// - Parameter body: gets the frame, and its bytes. They are copied where they are changed
    ///   while the frame has slices of them.
    init<Request: WireRequest>(
        _ name: String,
        inPlace body:
            @escaping @Sendable (
                Broker, inout RequestFrame<Request>, inout [UInt8], Broker.Context
            ) async throws -> Request.Response?
    ) {
        self.init(name) { (broker, frame: inout RequestFrame<Request>, bytes, context) in
            guard let response = try await body(broker, &frame, &bytes, context) else {
                return nil
            }
            return Answer(
                try ResponseFrame(
                    header: ResponseHeader(correlationID: frame.header.correlationID),
                    body: response
                ).encoded(version: context.version))
        }
    }

    /// The same, for responses that are written in another way.
    init<Request: WireRequest>(
        _ name: String,
        answering body:
            @escaping @Sendable (Broker, Request, Broker.Context, Int32) async throws -> Answer?
    ) {
        self.init(name) { (broker, frame: inout RequestFrame<Request>, _, context) in
            try await body(broker, frame.body, context, frame.header.correlationID)
        }
    }

    private init<Request: WireRequest>(
        _ name: String,
        _ body:
            @escaping @Sendable (
                Broker, inout RequestFrame<Request>, inout [UInt8], Broker.Context
            ) async throws -> Answer?
    ) {
        versions = Request.versions
        metrics = ServerMetrics.PerRequest(name)
        answer = { broker, bytes, client in
            var frame = try RequestFrame<Request>(decoding: bytes)
            let context = Broker.Context(
                client: client, clientID: frame.header.clientID ?? "",
                version: frame.header.apiVersion)
            guard let answer = try await body(broker, &frame, &bytes, context) else {
                return .nothing
            }
            guard answer.byteCount <= Answer.byteCountMax else {
                return .end("the answer to \(name) would have \(answer.byteCount) bytes")
            }
            return .answer(answer)
        }
    }
}
