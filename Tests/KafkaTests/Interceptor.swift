import NIOCore
import NIOPosix
import Synchronization
import TallyServed
import TallyWire

/// Stands between clients and a server, hands on what comes, and does to requests what a test says.
///
/// Thread rule: used by one test.
final class Interceptor: Sendable {
    /// What becomes of a request.
    enum Fault: Sendable {
        /// The connection ends, and the server never hears of it.
        case lost
        /// The server does it, and the connection ends instead of the answer.
        case unanswered
        /// The connection ends, and the server hears of it when the test says so.
        case late
        /// A request for a coordinator is told that nobody coordinates now.
        case noCoordinator
    }

    /// A request that came by.
    struct Request: Hashable, Sendable {
        var api: APIKey
        var version: Int16
        var frame: [UInt8]
    }

    private struct State {
        var faults: [APIKey: [Fault]] = [:]
        var requests: [Request] = []
        var late: [[UInt8]] = []
    }

    /// `HOST:PORT`.
    let address: String
    private let target: Int
    private let listener: any Channel
    private let book: Book

    private init(_ listener: any Channel, _ target: Int, _ book: Book) {
        self.listener = listener
        self.target = target
        self.book = book
        address = "127.0.0.1:\(listener.localAddress?.port ?? 0)"
    }

    deinit { listener.close(promise: nil) }

    /// What is noted of all connections.
    private final class Book: Sendable {
        let state = Mutex(State())

        func fault(of request: Request) -> Fault? {
            state.withLock { state in
                state.requests.append(request)
                guard let fault = state.faults[request.api]?.first else { return nil }
                state.faults[request.api]?.removeFirst()
                if fault == .late { state.late.append(request.frame) }
                return fault
            }
        }
    }

    /// Stands before a server, which tells clients of this one from now on.
    static func start(before served: ServedEngine) async throws -> Interceptor {
        let book = Book()
        let target = served.port
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop)
                    .connect(host: "127.0.0.1", port: target)
                    .flatMap { server in
                        client.eventLoop.makeCompletedFuture {
                            let exchange = Exchange(client, server, book)
                            try client.pipeline.syncOperations.addHandler(Requests(exchange))
                            try server.pipeline.syncOperations.addHandler(Answers(exchange))
                        }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        served.advertise(port: listener.localAddress?.port ?? 0)
        await served.stop()
        try await served.start()
        return Interceptor(listener, target, book)
    }

    // MARK: For tests

    /// Does these things to the next requests of an API.
    func fail(_ api: APIKey, _ faults: Fault...) {
        book.state.withLock { $0.faults[api, default: []] += faults }
    }

    /// Does nothing to requests any more.
    func relent() { book.state.withLock { $0.faults = [:] } }

    /// Faults that nothing has met yet.
    var leftCount: Int { book.state.withLock { $0.faults.values.reduce(0) { $0 + $1.count } } }

    /// Requests that came by.
    var requests: [Request] { book.state.withLock { $0.requests } }

    /// How many requests of an API came by.
    func count(_ api: APIKey) -> Int { requests.count { $0.api == api } }

    /// Has the server hear of requests that are late, and returns when it has answered them.
    func deliverLate() async throws {
        let late = book.state.withLock { state in
            defer { state.late = [] }
            return state.late
        }
        for frame in late {
            let isAnswered = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: Void.self)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(Once(isAnswered))
                    }
                }
                .connect(host: "127.0.0.1", port: target).get()
            try await channel.writeAndFlush(ByteBuffer(bytes: Frames.bytes(of: frame)))
            try await isAnswered.futureResult.get()
            try await channel.close()
        }
    }
}

/// Bytes that become frames. A value.
private struct Frames {
    private var bytes = ByteBuffer()

    static func bytes(of frame: [UInt8]) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: frame.count >> $0) }
            + frame
    }

    mutating func receive(_ more: ByteBuffer) {
        var more = more
        bytes.writeBuffer(&more)
    }

    mutating func next() -> [UInt8]? {
        guard let length = bytes.getInteger(at: bytes.readerIndex, as: Int32.self),
            bytes.readableBytes >= 4 + Int(length)
        else { return nil }
        bytes.moveReaderIndex(forwardBy: 4)
        return bytes.readBytes(length: Int(length))
    }
}

extension Interceptor {
    /// A connection of a client, and the one to the server behind it. Thread rule: their event
    /// loop, which is the same.
    private final class Exchange {
        private let client: any Channel
        private let server: any Channel
        private let book: Book
        private var requests = Frames()
        private var answers = Frames()
        /// Whether each answer that is to come is handed on.
        private var isHandedOn: [Bool] = []

        init(_ client: any Channel, _ server: any Channel, _ book: Book) {
            self.client = client
            self.server = server
            self.book = book
        }

        func takeRequests(_ bytes: ByteBuffer) {
            requests.receive(bytes)
            while let frame = requests.next() {
                let numbers = (0..<2).map { Int16(frame[2 * $0]) << 8 | Int16(frame[2 * $0 + 1]) }
                let request = Request(
                    api: APIKey(rawValue: numbers[0]), version: numbers[1], frame: frame)
                let fault = book.fault(of: request)
                if fault == .lost || fault == .late { return end() }
                if fault == .noCoordinator {
                    answer(request)
                    continue
                }
                isHandedOn.append(fault == nil)
                server.writeAndFlush(ByteBuffer(bytes: Frames.bytes(of: frame)), promise: nil)
            }
        }

        /// Says COORDINATOR_NOT_AVAILABLE. No answer of the server's may be on its way.
        private func answer(_ request: Request) {
            guard request.api == .findCoordinator,
                let start = try? RequestFrameStart(decoding: request.frame)
            else { return end() }
            var body = FindCoordinatorResponse()
            if request.version >= 4 {
                var coordinator = FindCoordinatorResponse.Coordinator()
                coordinator.errorCode = .coordinatorNotAvailable
                body.coordinators = [coordinator]
            } else {
                body.errorCode = .coordinatorNotAvailable
            }
            let header = ResponseHeader(correlationID: start.correlationID)
            guard let bytes = try? body.frame(header, version: request.version) else {
                return end()
            }
            client.writeAndFlush(ByteBuffer(bytes: Frames.bytes(of: bytes)), promise: nil)
        }

        func takeAnswers(_ bytes: ByteBuffer) {
            answers.receive(bytes)
            while let frame = answers.next() {
                guard !isHandedOn.isEmpty, isHandedOn.removeFirst() else { return end() }
                client.writeAndFlush(ByteBuffer(bytes: Frames.bytes(of: frame)), promise: nil)
            }
        }

        func end() {
            client.close(promise: nil)
            server.close(promise: nil)
        }
    }

    private final class Requests: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let exchange: Exchange

        init(_ exchange: Exchange) { self.exchange = exchange }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            exchange.takeRequests(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) { exchange.end() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { exchange.end() }
    }

    private final class Answers: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let exchange: Exchange

        init(_ exchange: Exchange) { self.exchange = exchange }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            exchange.takeAnswers(unwrapInboundIn(data))
        }
        func channelInactive(context: ChannelHandlerContext) { exchange.end() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { exchange.end() }
    }

    /// Waits for something to come.
    private final class Once: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let promise: EventLoopPromise<Void>

        init(_ promise: EventLoopPromise<Void>) { self.promise = promise }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { promise.succeed() }
        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(ChannelError.eof)
        }
    }
}
