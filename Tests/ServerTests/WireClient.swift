import Glibc
import NIOCore
import NIOPosix
import Tally
import TallyServer
import TallyWire
import Testing

/// A client that says what a test wants said: sends frames, or any bytes, and reads frames.
///
/// Used by one task at a time.
final class WireClient: Sendable {
    private let channel: any Channel
    private let frames: AsyncStream<[UInt8]>

    private init(_ channel: any Channel, _ frames: AsyncStream<[UInt8]>) {
        self.channel = channel
        self.frames = frames
    }

    deinit { channel.close(promise: nil) }

    static func connect(to address: ServerAddress) async throws -> WireClient {
        let (frames, arriving) = AsyncStream<[UInt8]>.makeStream()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FrameCollector(arriving))
                }
            }
            .connect(host: address.host, port: address.port).get()
        return WireClient(channel, frames)
    }

    /// Gives each frame to a stream, which ends with the connection.
    private final class FrameCollector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var received = ByteBuffer()
        private let frames: AsyncStream<[UInt8]>.Continuation

        init(_ frames: AsyncStream<[UInt8]>.Continuation) { self.frames = frames }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            received.writeBuffer(&bytes)
            while let length = received.getInteger(at: received.readerIndex, as: Int32.self),
                received.readableBytes >= 4 + Int(length)
            {
                received.moveReaderIndex(forwardBy: 4)
                frames.yield(received.readBytes(length: Int(length)) ?? [])
            }
        }

        func channelInactive(context: ChannelHandlerContext) { frames.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    // MARK: Bytes

    /// Sends bytes as they are.
    func send(bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    /// Sends a frame behind its length.
    func send(frame: [UInt8]) async throws {
        try await send(bytes: Self.framed(frame))
    }

    static func framed(_ frame: [UInt8]) -> [UInt8] {
        length(frame.count) + frame
    }

    private static func length(_ count: Int) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: count >> $0) }
    }

    /// The next frame; nil where the server has ended the connection.
    func frame() async -> [UInt8]? {
        for await frame in frames { return frame }
        return nil
    }

    /// Reads no more, or again.
    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
    }

    /// Ends the connection.
    func close() async { try? await channel.close() }

    /// Ends the connection without a word of goodbye, as a process that dies with bytes unread.
    func reset() async throws {
        let provider = try #require(channel as? any SocketOptionProvider)
        try await provider.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        await close()
    }

    // MARK: Requests

    /// The bytes of a request, without their length.
    static func frame(
        _ request: some WireRequest, version: Int16, correlationID: Int32 = 1
    ) throws -> [UInt8] {
        func frame<Request: WireRequest>(_ request: Request) throws -> [UInt8] {
            try RequestFrame(
                header: RequestHeader(
                    Request.self, version: version, correlationID: correlationID,
                    clientID: "test"),
                body: request
            ).encoded()
        }
        return try frame(request)
    }

    /// Sends a request and does not wait.
    func post(
        _ request: some WireRequest, version: Int16, correlationID: Int32 = 1
    ) async throws {
        try await send(
            frame: Self.frame(request, version: version, correlationID: correlationID))
    }

    /// Sends a request and waits for its response.
    func ask<Request: WireRequest>(
        _ request: Request, version: Int16 = Request.versions.upperBound
    ) async throws -> Request.Response {
        try await post(request, version: version)
        return try await response(to: Request.self, version: version)
    }

    struct NoAnswer: Error {}

    /// The response to a request that was sent before.
    func response<Request: WireRequest>(
        to type: Request.Type, version: Int16, correlationID: Int32 = 1
    ) async throws -> Request.Response {
        guard let frame = await frame() else { throw NoAnswer() }
        let response = try ResponseFrame<Request.Response>(decoding: frame, version: version)
        guard response.header.correlationID == correlationID else { throw NoAnswer() }
        return response.body
    }
}
