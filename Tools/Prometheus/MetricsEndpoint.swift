import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Answers `GET /metrics` with metrics, `/livez` with 200, and `/readyz` with 200 while there is
/// something to be ready for, 503 otherwise.
///
/// Thread rule: any thread.
public final class MetricsEndpoint: Sendable {
    /// Where it listens.
    public let address: String
    private let listener: any Channel
    private let threads: MultiThreadedEventLoopGroup
    private let content: Content

    /// What it answers with.
    final class Content: Sendable {
        let text = Mutex<(@Sendable () -> String)?>(nil)
        let connectionCount = Atomic<Int>(0)
    }

    private init(
        _ listener: any Channel, _ threads: MultiThreadedEventLoopGroup, _ content: Content,
        address: String
    ) {
        self.listener = listener
        self.threads = threads
        self.content = content
        self.address = address
    }

    /// Begins to listen; it is alive from then on, and ready with ``serve(_:)``.
    ///
    /// - Parameter port: 0 has the system choose.
    ///
    /// Throws what binding the address throws.
    public static func start(host: String, port: Int) async throws -> MetricsEndpoint {
        let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let content = Content()
        do {
            let listener = try await ServerBootstrap(group: threads)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    // Whoever scrapes has one: others must not use up the descriptors.
                    guard content.connectionCount.add(1, ordering: .relaxed).newValue <= 64 else {
                        content.connectionCount.subtract(1, ordering: .relaxed)
                        return channel.close()
                    }
                    channel.closeFuture.whenComplete { _ in
                        content.connectionCount.subtract(1, ordering: .relaxed)
                    }
                    return channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            IdleStateHandler(allTimeout: .seconds(60)))
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                        try channel.pipeline.syncOperations.addHandler(Responder(content))
                    }
                }
                .bind(host: host, port: port).get()
            return MetricsEndpoint(
                listener, threads, content,
                address: "\(host):\(listener.localAddress?.port ?? port)")
        } catch {
            try? await threads.shutdownGracefully()
            throw error
        }
    }

    /// Is ready, and tells these metrics.
    public func serve(_ text: @escaping @Sendable () -> String) {
        content.text.withLock { $0 = text }
    }

    /// Is ready no more.
    public func stopBeingReady() { content.text.withLock { $0 = nil } }

    /// Listens no more.
    public func stop() async {
        try? await listener.close()
        try? await threads.shutdownGracefully()
    }

    /// Answers one connection.
    private final class Responder: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let content: Content
        private var head: HTTPRequestHead?

        init(_ content: Content) { self.content = content }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body: break
            case .end:
                guard let head else { return }
                answer(head, context)
            }
        }

        private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
            let text = content.text.withLock { $0 }
            let status: HTTPResponseStatus
            let body: String
            switch request.uri.prefix(while: { $0 != "?" }) {
            case "/metrics" where text != nil: (status, body) = (.ok, text?() ?? "")
            case "/livez": (status, body) = (.ok, "alive\n")
            case "/readyz" where text != nil: (status, body) = (.ok, "ready\n")
            case "/readyz", "/metrics": (status, body) = (.serviceUnavailable, "not ready\n")
            default: (status, body) = (.notFound, "see /metrics, /livez, /readyz\n")
            }
            var head = HTTPResponseHead(version: request.version, status: status)
            head.headers.add(name: "Content-Type", value: "text/plain; version=0.0.4")
            head.headers.add(name: "Content-Length", value: "\(body.utf8.count)")
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            if request.method != .HEAD {
                let bytes = ByteBuffer(string: body)
                context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
            }
            let isKept = request.isKeepAlive
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
                if !isKept { bound.value.close(promise: nil) }
            }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
